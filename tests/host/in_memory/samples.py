"""Sample pictures of a training beside those that KSampler draws with the saved file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.sd
import torch
from safetensors.torch import load_file
from torch import Tensor

import nodes  # type: ignore[import-not-found]
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.nodes.host_model.sampling import GUIDANCE, STEPS, host_drawer, scheduler_of
from dreambooth_nodes.nodes.host_model.training import host_base
from dreambooth_nodes.tests.host.in_memory.models import SIDE, Parts, new_store, request_of, sd3, with_words
from dreambooth_nodes.tests.host.tiny_models import random_weights, sd3_shapes
from dreambooth_nodes.trainer.events import Event, Sample
from dreambooth_nodes.trainer.session.personalize import personalize

SAMPLERS = ("euler", "euler_ancestral")


def sd3_in_bf16() -> Any:
    """The tiny Stable Diffusion 3 with weights in bf16, computed in bf16."""
    weights = {name: weight.bfloat16() for name, weight in random_weights(sd3_shapes()).items()}
    return comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": torch.bfloat16})


def sample_of(parts: Parts, sampler: str) -> tuple[Tensor, Path]:
    """The last sample of a run, [H, W, 3], and its file."""
    samples: list[Tensor] = []

    def keep(event: Event) -> None:
        if isinstance(event, Sample):
            samples.append(event.images)

    with HostModel(*parts, host_base(*parts).fingerprint).borrowed() as model:
        method, request = HostLora(), request_of(sample_count=1)
        draw = host_drawer(model, method, sampler)
        result, _ = personalize(model, request, new_store(), keep, method=method, draw=draw)
    return samples[-1][0].movedim(0, -1), result.file


def by_ksampler(parts: Parts, sampler: str, file: Path | None) -> Tensor:
    """The picture of the same prompt and seed by a graph's nodes, [H, W, 3]; with the LoRA of a file."""
    model, clip, vae = parts
    if file is not None:
        model, _ = comfy.sd.load_lora_for_models(model, None, load_file(file), 1.0, 0.0)
    positive, negative = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a olt dog", ""))
    empty = {"samples": torch.zeros(1, 16, SIDE // 8, SIDE // 8)}
    drawn = nodes.common_ksampler(
        model, 0, STEPS, GUIDANCE, sampler, scheduler_of(model), positive, negative, empty
    )[0]["samples"]  # fmt: skip
    return torch.as_tensor(vae.decode(drawn)).reshape(SIDE, SIDE, 3)


def apart(parts: Parts, sampler: str) -> dict[str, float]:
    """How far a sample is from KSampler's picture with the file, and that from the base's; of 255."""
    sample, file = sample_of(parts, sampler)
    drawn = by_ksampler(parts, sampler, file)
    return {
        "sample": float((sample.cpu() - drawn).abs().max() * 255),
        "base": float((by_ksampler(parts, sampler, None) - drawn).abs().max() * 255),
    }


def figures() -> dict[str, Any]:
    """By both samplers, in float32 and bf16."""
    kinds = {"fp32": with_words(sd3()), "bf16": with_words(sd3_in_bf16())}
    return {f"{dtype} {sampler}": apart(parts, sampler) for dtype, parts in kinds.items() for sampler in SAMPLERS}
