"""A denoiser at its real size, random weights, a small picture: what a process really takes, against the count.

`-s` shows the figures; SDXL takes about 8 GB and some minutes of a CPU each.
"""

from __future__ import annotations

import ctypes
import math
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.machine_check.full_size import shapes_of
from dreambooth_nodes.tests.trainer.trainings import images_of, training_on
from dreambooth_nodes.trainer.memory.footprint import FootprintEstimator, Work
from dreambooth_nodes.trainer.model.families import family_of
from dreambooth_nodes.trainer.model.source import ShapesOnly
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.training.encoded import EncodedPrompts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SIDE = 128
SCRATCH = 1e9
"""Bytes that the CPU's kernels take beside tensors; 0.8e9 was seen."""
SMALL_LORA = {"checkpointing": True, "base_in_8_bits": True}
SMALL_FULL = {"optimizer": "adafactor", "trained_weights": "bf16", "fused_backward": True, "checkpointing": True}


def resident(name: str) -> int:
    """Bytes, of this process: VmRSS now, VmHWM at most."""
    line = next(
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith(name)
    )
    return int(line.split()[1]) * 1024


@torch.no_grad()
def random_base(source: ShapesOnly) -> Any:
    """Only the denoiser has numbers."""
    base = family_of(source)(source, "epsilon", torch.bfloat16)
    base.denoiser.to_empty(device="cpu")
    for name, weight in base.denoiser.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=1 / math.sqrt(weight[0].numel()))
        else:
            weight.fill_(float("norm" in name and name.endswith("weight")))
    return base.compute_on(torch.device("cpu"))


def one_step(family: str, changes: dict[str, Any]) -> tuple[int, float]:
    """Bytes that a step added at most to what the process had before the model; its loss."""
    torch.manual_seed(0)
    before = resident("VmRSS")
    source = ShapesOnly(family, shapes_of(family), {})
    options = TrainOptions(precision="bf16", memory="off", **changes)
    base = random_base(source)
    conditioning = {"context": torch.randn(2, 77, base.context), "pooled": torch.randn(2, 1280)}
    prompts = EncodedPrompts(torch.zeros(2, 77, dtype=torch.long), conditioning)
    latents = torch.randn(1, 4, SIDE // 8, SIDE // 8)
    frames = base.frame_conditioning([Frame.whole(SIDE, SIDE)])
    instance, prior = (images_of(latents, latents.abs(), row, frames=frames) for row in (0, 1))
    training = training_on(base, (prompts, instance, prior), options)
    # What was freed when the weights were made smaller goes back to the system.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    loss = training.step(0).total
    return resident("VmHWM") - before, float(loss)


def in_a_process(family: str, changes: dict[str, Any]) -> tuple[int, float]:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(one_step, (family, changes))


def counted(family: str, changes: dict[str, Any]) -> int:
    options = TrainOptions(precision="bf16", **changes)
    work = Work(images=2, width=SIDE, height=SIDE, device="cpu", dtype=torch.bfloat16)
    footprint = FootprintEstimator(ShapesOnly(family, shapes_of(family), {})).footprint(options, work)
    assert footprint is not None
    return footprint.weights + footprint.states + footprint.step


@pytest.mark.parametrize(
    ("method", "plain", "levers"),
    [("lora", {}, SMALL_LORA), ("full", None, SMALL_FULL)],
    ids=["lora", "full"],
)
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_process_takes_what_was_counted(
    family: str, method: str, plain: dict[str, Any] | None, levers: dict[str, Any]
) -> None:
    """The libraries' own scratch comes on top, and cancels out between two. What is 46 GB is only counted."""
    small, loss = in_a_process(family, {"method": method, **levers})
    expected = counted(family, {"method": method, **levers})
    print(f"\nwith levers: {small / 1e9:.2f} GB, counted {expected / 1e9:.2f} GB, loss {loss:.4f}")
    assert 0.9 * expected < small < 1.2 * expected + SCRATCH
    whole = counted(family, {"method": method})
    if plain is not None:
        large, plain_loss = in_a_process(family, {"method": method, **plain})
        print(f"without: {large / 1e9:.2f} GB, counted {whole / 1e9:.2f} GB, loss {plain_loss:.4f}")
        assert large - small == pytest.approx(whole - expected, rel=0.25)
        assert loss == pytest.approx(plain_loss, rel=2e-2)
    assert expected < 0.7 * whole
