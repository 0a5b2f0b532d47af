"""The memory of a training step on a host's model, counted by running the host's own modules on the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import comfy.ops
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor, nn
from torch.autograd import Variable

from ...trainer.model.base import Conditioning
from ...trainer.model.source import META
from ...trainer.options import TrainOptions
from .in_place import copy_inputs_of_norms, is_in_place
from .prediction import predicted
from .training_mode import TrainingMode

LAYERS_AT_A_TIME = 2
"""The layers whose weights are on the device at a time where they lie in the host's memory: the one that computes, and
the one that is copied meanwhile.
"""
COPIES = 3
"""How often a step copies such a weight to the device: for the forward, its recomputation and the backward pass."""


@dataclass(frozen=True)
class HostFootprint:
    """The bytes of a training on its device. weights: of the denoiser, as the host loaded it. adapter: the LoRA, its
    gradients and the optimizer's states. step: the peak of a step beside these. fetched: the weights of
    LAYERS_AT_A_TIME of its largest layer, in the forward's dtype.
    """

    weights: int
    adapter: int
    step: int
    fetched: int

    @property
    def resident(self) -> int:
        """With all weights on the device."""
        return self.weights + self.adapter + self.step

    @property
    def least(self) -> int:
        """With the weights in the host's memory, from which each layer's are copied when it computes."""
        return self.fetched + self.adapter + self.step


def count(base: Any, options: TrainOptions, noisy: Tensor, sigma: Tensor, told: Conditioning) -> HostFootprint:
    """The footprint of a step of `base`, a HostModel, for noisy latents [B, C, h, w] at noise levels [B], with the LoRA
    that is attached and as activations are kept or recomputed now.
    """
    from ...trainer.memory.footprint import ADAFACTOR_STEP
    from ...trainer.memory.meta_execution import nbytes

    assert base.branch is not None
    trained = [*base.branch.parameters()]
    halves = 2 * sum(map(nbytes, trained))
    states = sum(options.optimizer_kind.state_bytes(weight.shape) for weight in trained)
    averaged = sum(map(nbytes, trained)) if options.ema_decay else 0
    largest = max(weight.numel() for weight in trained)
    step = max(_peak(base, noisy, sigma, told), ADAFACTOR_STEP * largest)
    return HostFootprint(
        weights=int(base.model.model_size()),
        adapter=halves + states + averaged,
        step=step,
        fetched=LAYERS_AT_A_TIME * _largest_layer(base),
    )


def _peak(base: Any, noisy: Tensor, sigma: Tensor, told: Conditioning) -> int:
    """The peak of the bytes that a forward and a backward allocate beside weights and gradients, with copies of what
    blocks change in place where they have to be.
    """
    if not base.recomputes:
        try:
            return _peak_of(base, noisy, sigma, told, copies=False)
        except RuntimeError as error:
            if not is_in_place(error):
                raise
    return _peak_of(base, noisy, sigma, told, copies=True)


def _peak_of(base: Any, noisy: Tensor, sigma: Tensor, told: Conditioning, copies: bool) -> int:
    """The same. copies: whether norms keep copies of their inputs (see `in_place`)."""
    from ...trainer.memory.footprint import checkpoints_on_meta
    from ...trainer.memory.meta_execution import CountedForward, LiveMemory, nbytes

    assert base.branch is not None
    mode = TrainingMode(base.denoiser)
    with on_meta(base.model.model), on_meta(base.branch, train=True), torch.enable_grad():
        norms = copy_inputs_of_norms(base.denoiser) if copies else []
        base.branch.attach()
        known = [*base.model.model.parameters(), *base.model.model.buffers(), *base.branch.parameters()]
        try:
            with LiveMemory(known) as memory, CountedForward(None, "cuda"), checkpoints_on_meta(), _without_autocast():
                shown = noisy.to(META), sigma.to(META)
                answer = predicted(base, *shown, told, {"optimized_attention_override": _fused})
                loss = answer.float().square().mean()
                del answer
                Variable._execution_engine.run_backward(
                    (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
                )
        finally:
            mode.end()
            base.branch.detach()
            for handle in norms:
                handle.remove()
    # Gradients are counted with the adapter.
    return memory.peak - sum(map(nbytes, base.branch.parameters()))


@contextmanager
def on_meta(module: nn.Module, train: bool = False) -> Iterator[None]:
    """A context in which a module's tensors are on the meta device, with their shapes and dtypes; as before afterwards.
    train: whether its parameters require gradients there.
    """
    found: list[tuple[dict[str, Any], str, Tensor]] = []
    made: dict[int, Tensor] = {}
    try:
        for inner in module.modules():
            holders: tuple[dict[str, Any], ...] = (inner._parameters, inner._buffers)
            for holder in holders:
                for name, tensor in holder.items():
                    if tensor is not None:
                        found.append((holder, name, tensor))
                        # By identity: tied weights stay tied.
                        holder[name] = made.setdefault(id(tensor), _hollow(tensor, train))
        yield
    finally:
        for holder, name, tensor in found:
            holder[name] = tensor


@contextmanager
def _without_autocast() -> Iterator[None]:
    """A context in which code may switch autocast off for the meta device, where torch knows none."""
    own = torch.autocast
    torch.autocast = lambda device_type, *args, **kwargs: (  # type: ignore[misc, assignment]
        nullcontext() if device_type == META.type else own(device_type, *args, **kwargs)
    )
    try:
        yield
    finally:
        torch.autocast = own  # type: ignore[misc]


def _hollow(tensor: Tensor, train: bool) -> Tensor:
    """A tensor on the meta device of another's shape and dtype; of a quantised one, of the dtype that it stands for."""
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device=META)
    return nn.Parameter(empty, train) if isinstance(tensor, nn.Parameter) else empty


def _fused(function: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Attention by the kernel that torch has for GPUs, in place of the one that the host chose for this device."""
    return torch.as_tensor(attention_pytorch(*args, **{**kwargs, "transformer_options": {}}))


def _largest_layer(base: Any) -> int:
    """The bytes of the largest layer's weights in the dtype that the host computes in."""
    computed = base.model.model_dtype() if base.model.model.manual_cast_dtype is None else (
        base.model.model.manual_cast_dtype
    )  # fmt: skip
    layers = [layer for layer in base.denoiser.modules() if isinstance(layer, comfy.ops.CastWeightBiasOp)]
    numbers = (sum(p.numel() for p in layer.parameters(recurse=False)) for layer in layers)
    return max(numbers, default=0) * torch.empty(0, dtype=computed).element_size()
