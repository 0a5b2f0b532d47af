"""Training of denoisers that change their activations in place, which autograd and recomputation would not survive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def on_copies(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a block, on copies of its tensors: what it is called with stays as it was for a second call."""

    def copied(*args: Any, **kwargs: Any) -> Any:
        return forward(*map(_copy, args), **{name: _copy(value) for name, value in kwargs.items()})

    return copied


def copy_inputs_of_norms(denoiser: nn.Module) -> list[RemovableHandle]:
    """Hooks by which norms keep copies of their inputs for the backward pass: a residual sum changes the input itself,
    after the norm has read it.
    """
    norms = [module for module in denoiser.modules() if "norm" in type(module).__name__.lower()]
    return [norm.register_forward_pre_hook(lambda module, args: tuple(map(_copy, args))) for norm in norms]


def changes_saved_tensors(answer: Tensor, weights: list[nn.Parameter]) -> bool:
    """Whether autograd refuses the gradient of an answer because what it saved was changed in place. The weights'
    gradients are left alone.
    """
    try:
        torch.autograd.grad(answer.float().mean(), weights, allow_unused=True)
    except RuntimeError as error:
        if not is_in_place(error):
            raise
        return True
    return False


def is_in_place(error: RuntimeError) -> bool:
    """Whether this is what autograd says of a tensor that was changed in place after it was saved."""
    return "inplace operation" in str(error)


def _copy(value: Any) -> Any:
    """A copy of a tensor of floating point, on which a gradient may depend; any other value itself."""
    return value.clone() if isinstance(value, Tensor) and value.is_floating_point() else value
