"""Trainings of a model that the host moves meanwhile, and the memory of a training beside one copy of its model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.ops
import torch

from dreambooth_nodes.tests.host.in_memory.forwards import branch_gradients
from dreambooth_nodes.tests.host.in_memory.models import (
    Parts,
    flux,
    losses,
    sd3,
    trained,
    with_words,
)
from dreambooth_nodes.tests.host.in_memory.quantised import plain, scaled
from dreambooth_nodes.tests.host.in_memory.state import fingerprint, state, with_lora
from dreambooth_nodes.trainer.events import Event, Step


def freed(parts: Parts) -> dict[str, Any]:
    """Losses of a run during which all models are unloaded, as `/free` does, beside those of one left alone."""
    counted = itertools.count()

    def free(event: Event) -> None:
        if isinstance(event, Step) and next(counted) in (1, 3):
            comfy.model_management.unload_all_models()

    return {"alone": losses(trained(parts)), "freed": losses(trained(parts, tell=free))}


@contextmanager
def next_to_no_memory() -> Iterator[None]:
    """The host loads as on a card without room, by its own --novram: layers stay where they were, unpatched, and are
    cast and patched as they are used.
    """
    management = comfy.model_management
    state, is_cpu = management.vram_state, management.is_device_cpu
    management.vram_state, management.is_device_cpu = management.VRAMState.NO_VRAM, lambda device: False
    management.unload_all_models()
    try:
        yield
    finally:
        management.vram_state, management.is_device_cpu = state, is_cpu
        management.unload_all_models()


def partly_loaded(parts: Parts) -> dict[str, Any]:
    """Gradients, losses and key of a model with a LoRA upstream that is not loaded whole, beside the whole
    one's; and what is left of it.
    """
    model = parts[0]
    comfy.model_management.load_models_gpu([model])
    whole, same, ours = branch_gradients(parts), fingerprint(*parts), losses(trained(parts))
    with next_to_no_memory():
        comfy.model_management.load_models_gpu([model])
        waiting = sum(bool(getattr(module, "weight_function", None)) for module in model.model.modules())
        before = state(model)
        partly = branch_gradients(parts)
        found = {"same key": fingerprint(*parts) == same, "as before": state(model) == before}
        theirs = losses(trained(parts))
    return {
        **found,
        "patched when used": waiting,
        "distance": float((whole - partly).norm() / whole.norm()),
        "losses": max(abs(a - b) / a for a, b in zip(ours, theirs, strict=True)),
    }


@contextmanager
def one_buffer() -> Iterator[None]:
    """Every layer's weight is cast into the same buffer, as newer hosts do it on a GPU: the next one overwrites it."""
    own, buffers = comfy.ops.cast_bias_weight, {torch.float32: torch.empty(0)}

    def cast(layer: Any, *args: Any, **kwargs: Any) -> Any:
        weight, *others = own(layer, *args, **kwargs)
        if weight is None or weight.data_ptr() == layer.weight.data_ptr():
            return weight, *others
        buffer = buffers.get(weight.dtype)
        if buffer is None or buffer.numel() < weight.numel():
            buffer = buffers[weight.dtype] = torch.empty(weight.numel(), dtype=weight.dtype)
        there = buffer[: weight.numel()].view_as(weight)
        with torch.no_grad():
            there.copy_(weight)
        return there, *others

    comfy.ops.cast_bias_weight = cast
    try:
        yield
    finally:
        comfy.ops.cast_bias_weight = own


def streamed(parts: Parts) -> dict[str, Any]:
    """Gradients and losses of a model whose weights are all cast into one buffer, beside those of one whose casts stay;
    with recomputed activations as well.
    """
    kept = {way: branch_gradients(parts, checkpointing=way) for way in (False, True)}
    ours = losses(trained(parts))
    with one_buffer():
        found = {way: branch_gradients(parts, checkpointing=way) for way in (False, True)}
        theirs = losses(trained(parts))
    return {
        "norm": float(kept[False].norm()),
        "kept": float((found[False] - kept[False]).norm()),
        "recomputed": float((found[True] - kept[True]).norm()),
        "losses": theirs == ours,
    }


def resident(name: str) -> int:
    """A figure of this process's memory in bytes; VmHWM is the highest since `clear_refs` was written."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def peak(parts: Parts) -> float:
    """The most that a training held beside what the process held before, in copies of the model's weights."""
    comfy.model_management.load_models_gpu([parts[0]])
    trained(parts, steps=1, seed=1)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = resident("VmRSS")
    trained(parts, steps=2, seed=2)
    return (resident("VmHWM") - before) / int(parts[0].model_size())


def figures() -> dict[str, Any]:
    """Of SD3, and the memory of a FLUX.1 of about 100 MB."""
    stable = with_words(sd3())
    return {
        "freed": freed(stable),
        "partly loaded": partly_loaded((with_lora(stable[0]), *stable[1:])),
        "streamed": {"8 bits": streamed(with_words(plain())), "scaled": streamed(with_words(scaled()))},
        "peak": peak(with_words(flux(512, 2))),
    }
