"""What of a host's model is on the device during a training, and whether activations are recomputed: by a count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...trainer.model.base import Conditioning
from ...trainer.options import TrainOptions
from .footprint import COPIES, HostFootprint, count

WEIGHT_DTYPE = "weight_dtype fp8_e4m3fn in Load Diffusion Model"
FEWER_BITS = f"load the model in 8 bits ({WEIGHT_DTYPE})"
COPIED_A_SECOND = 12e9
"""Bytes that a card copies from the computer's memory in a second: PCIe 3 with 16 lanes, or 4 with 8."""


@dataclass(frozen=True)
class HostPlan:
    """A training's way. reserved: the bytes beside the weights, which the host keeps free of them. fits: whether it is
    expected to fit. text: for the user.
    """

    checkpointing: bool
    reserved: int
    fits: bool
    text: str


def plan_step(
    base: Any, options: TrainOptions, noisy: Tensor, sigma: Tensor, told: Conditioning, budget: int
) -> HostPlan:
    """The first way for `base`, a HostModel, that fits a budget in bytes: everything kept; activations recomputed; and
    weights in the host's memory as well, as many as have to. Where it recomputes, it has switched that on.
    """
    counted = count(base, options, noisy, sigma, told)
    if not base.recomputes and needed(counted.resident) > budget:
        base.enable_checkpointing()
        counted = count(base, options, noisy, sigma, told)
    return plan_of(base, counted, noisy, budget)


def plan_of(base: Any, counted: HostFootprint, noisy: Tensor, budget: int) -> HostPlan:
    """The plan of a training of `base` whose step was counted for noisy latents [B, C, h, w]."""
    all_fits = needed(counted.resident) <= budget
    reserved = needed(counted.adapter + counted.step + (0 if all_fits else counted.fetched))
    fits = needed(counted.least if base.recomputes else counted.resident) <= budget
    size = [side * base.pixels_per_position for side in (noisy.shape[-1], noisy.shape[-2])]
    what = f"{type(base.model.model).__name__}, LoRA, {size[0]}x{size[1]} px, {len(noisy)} at a time"
    text = f"{what}: {_in_words(counted, budget, base.recomputes)}"
    if fits and not all_fits and _halves(base):
        fewer = needed(counted.resident - counted.weights // 2) <= budget
        text += f". In 8 bits ({WEIGHT_DTYPE}) {'all' if fewer else 'twice as many'} of them would stay there"
    return HostPlan(base.recomputes, reserved, fits, text if fits else f"{text}. It may not fit: {_way_out(noisy)}")


def needed(counted: int) -> int:
    """The bytes that have to be free for so many counted ones."""
    # Here, since a host starts without the trainer's libraries.
    from ...trainer.memory.plan import ALLOCATOR_OVERHEAD

    return int(counted * ALLOCATOR_OVERHEAD)


def free_bytes(device: torch.device) -> int:
    """The bytes of a device that the host can free for a training: those that are free, and those of its models."""
    loaded = [one for one in comfy.model_management.current_loaded_models if one.device == device]
    return int(comfy.model_management.get_free_memory(device)) + sum(one.model_loaded_memory() for one in loaded)


def _in_words(counted: HostFootprint, budget: int, recomputes: bool) -> str:
    """The need, what there is, and the way."""
    way = "checkpointing" if recomputes else "activations kept"
    whole, free = needed(counted.resident), f"{budget / 1e9:.1f} GB free"
    if whole <= budget or not recomputes:
        return f"needs about {whole / 1e9:.1f} GB of {free}: {way}"
    least, stay = needed(counted.least), resident_weights(counted, budget)
    copied = COPIES * (counted.weights - stay)
    return (
        f"needs about {whole / 1e9:.1f} GB, or {least / 1e9:.1f} GB with its weights in the computer's memory, of "
        f"{free}: {way}; {stay / 1e9:.1f} of {counted.weights / 1e9:.1f} GB of the weights stay on the device, and a "
        f"step copies {copied / 1e9:.1f} GB to it, about {copied / COPIED_A_SECOND:.1f} s"
    )


def resident_weights(counted: HostFootprint, budget: int) -> int:
    """The bytes of the weights that stay on the device within a budget in bytes."""
    if needed(counted.resident) <= budget:
        return counted.weights
    room = (budget - needed(counted.least)) * counted.weights // max(1, needed(counted.weights))
    return max(0, min(counted.weights, room))


def _halves(base: Any) -> bool:
    """Whether a denoiser's weights are of 16 bits or more, so that in 8 bits they take half or less."""
    return bool(base.model.model_dtype().itemsize >= 2)


def _way_out(noisy: Tensor) -> str:
    """Advice for a training that may not fit."""
    smaller = "" if len(noisy) == 1 else f", a batch_size below {len(noisy)}"
    return f"try smaller photos{smaller}, or {FEWER_BITS}."
