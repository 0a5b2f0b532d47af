"""Full fine-tuning without a second copy of the model: each gradient is used as soon as it is whole, and freed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .adafactor import Adafactor


class FusedBackward:
    """Hooks on all weights of an optimizer: the backward pass is the step.

    A gradient longer than max_grad_norm is cut to it on its own: the norm of all is known only when all are gone.
    """

    def __init__(self, optimizer: Adafactor, max_grad_norm: float) -> None:
        self._optimizer, self._longest = optimizer, max_grad_norm
        self._squares: list[Tensor] = []
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.register_post_accumulate_grad_hook(self._use)

    def norm(self) -> Tensor:
        """Of all gradients since this was last asked, before any was cut."""
        norm = torch.stack(self._squares).sum().sqrt()
        self._squares.clear()
        return norm

    @torch.no_grad()
    def _use(self, parameter: nn.Parameter) -> None:
        assert parameter.grad is not None
        norm = torch.linalg.vector_norm(parameter.grad, dtype=torch.float32)
        self._squares.append(norm.square())
        parameter.grad.mul_((self._longest / (norm + 1e-6)).clamp(max=1.0))
        self._optimizer.update(parameter)
        parameter.grad = None
