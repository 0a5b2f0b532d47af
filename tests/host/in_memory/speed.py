"""Steps of the adapter beside ComfyUI's own TrainLoraNode, and beside the family of the embedded base."""

from __future__ import annotations

import gc
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import comfy_extras.nodes_train
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from dreambooth_nodes.nodes import comfy_base_file
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.models import SHORT, SIDE, Parts, new_store, request_of, trained
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options.choices import Targets
from dreambooth_nodes.trainer.session.personalize import personalize

WARM_UP, STEPS, ROUNDS = 3, 15, 5
SETTINGS: dict[str, Any] = {
    "batch_size": 1, "grad_accumulation_steps": 1, "steps": STEPS, "learning_rate": 1e-4, "rank": 4,
    "optimizer": "AdamW", "loss_function": "MSE", "seed": 0, "training_dtype": "fp32", "lora_dtype": "fp32",
    "algorithm": "LoRA", "gradient_checkpointing": False, "existing_lora": "[None]", "bucket_mode": False,
    "bypass_mode": False, "quantized_backward": False, "checkpoint_depth": 1, "offloading": False,
}  # fmt: skip
"""What the node is told: one photo a step, in float32, its defaults else."""


@contextmanager
def step_ends() -> Iterator[list[float]]:
    """The CPU time at the end of every optimizer step meanwhile, in seconds: other processes hardly change it."""
    ends: list[float] = []
    hook = register_optimizer_step_post_hook(lambda *_: ends.append(time.process_time()))
    try:
        yield ends
    finally:
        hook.remove()


def seconds_a_step(train: Callable[[], object]) -> float:
    """The CPU time of a step, the first ones left out."""
    with step_ends() as ends:
        train()
    # Ours tries its optimizer on a single value first.
    assert STEPS <= len(ends) <= STEPS + 1, len(ends)
    return (ends[-1] - ends[WARM_UP - 1 - STEPS]) / (STEPS - WARM_UP)


def by_adapter(parts: Parts, targets: Targets = "transformer") -> Callable[[], object]:
    """A training by the adapter, without class images."""
    return lambda: trained(parts, steps=STEPS, rank=4, learning_rate=1e-4, state_seconds=0.0, targets=targets)


def by_node(parts: Parts) -> Callable[[], object]:
    """A training of the same pictures by TrainLoraNode."""
    model, clip, vae = parts
    node = comfy_extras.nodes_train.TrainLoraNode
    told = inspect.signature(node.execute).parameters
    pixels = torch.stack([photo.pixels for photo in models.subject().photos]).movedim(1, -1)
    inputs: dict[str, Any] = {
        "model": [model],
        # One by one: 0.3.75 fails on a batch.
        "latents": [{"samples": latent} for latent in vae.encode(pixels).split(1)],
        "positive": [clip.encode_from_tokens_scheduled(clip.tokenize(SHORT))],
        **{name: [value] for name, value in SETTINGS.items()},
    }
    return lambda: node.execute(**{name: value for name, value in inputs.items() if name in told})


def by_family(parts: Parts, targets: Targets = "transformer") -> Callable[[], object]:
    """A training of the embedded base from the file that the node writes of it, as in the first run of a session."""

    def train() -> None:
        comfy_base_file._written.clear()
        written = comfy_base_file.base_file(*parts)
        with torch.inference_mode(False), torch.enable_grad():
            options = {"steps": STEPS, "rank": 4, "learning_rate": 1e-4, "state_seconds": 0.0, "precision": "fp32"}
            request = request_of(**options, targets=targets)
            base = load_base(written.path, written.prediction, known_fingerprint=written.fingerprint)
            personalize(base, request, new_store())

    return train


def cost(train: Callable[[], object]) -> dict[str, float]:
    """CPU seconds to the end of the first step, and MiB of resident memory at the highest above those before."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, begun = resident("VmRSS"), time.process_time()
    with step_ends() as ends:
        train()
    return {"start": ends[-STEPS] - begun, "memory": resident("VmHWM") - before}


def resident(name: str) -> float:
    """A figure of this process's memory in MiB; VmHWM is the highest since `clear_refs` was written."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def compared(ours: Callable[[], object], other: Callable[[], object]) -> dict[str, Any]:
    """Both in turn, the order turned each time: milliseconds a step, and how many times as long the other takes."""
    rounds = []
    for turn in range(ROUNDS):
        pair = (ours, other) if turn % 2 == 0 else (other, ours)
        first, second = (seconds_a_step(train) for train in pair)
        rounds.append((first, second) if turn % 2 == 0 else (second, first))
    ratios = sorted(theirs / mine for mine, theirs in rounds)
    print(rounds, file=sys.stderr)
    return {
        "ours": 1000 * median(mine for mine, _ in rounds),
        "other": 1000 * median(theirs for _, theirs in rounds),
        "times": [ratios[0], median(ratios), ratios[-1]],
    }


def both_paths() -> dict[str, Any]:
    """The embedded base through the adapter and from its file, by the layers that both train."""
    parts = models.toybase()
    ours, theirs = by_adapter(parts, "attention"), by_family(parts, "attention")
    costs = [(cost(ours), cost(theirs)) for _ in range(3)]
    return {
        "family": compared(ours, theirs),
        "costs": {"adapter": [one for one, _ in costs], "family": [other for _, other in costs]},
    }


def figures() -> dict[str, Any]:
    """Beside the node on the embedded base and two tiny models, and beside the family on the embedded base."""
    every = {
        "toybase": models.toybase(),
        "sd3": models.with_words(models.sd3()),
        "z_image": models.with_words(models.z_image()),
    }
    return {
        "side": SIDE,
        "node": {name: compared(by_adapter(parts), by_node(parts)) for name, parts in every.items()},
        **both_paths(),
    }
