"""A backward pass fused with the optimizer step: each gradient is used as soon as it is complete, and released.

So full fine-tuning never holds all gradients, which take as much memory as the model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .adafactor import Adafactor


class FusedBackward:
    """Hooks on all weights of an optimizer, which update a weight within the backward pass.

    Each gradient is clipped to max_grad_norm by itself: the norm of all gradients is known only after they are
    released.
    """

    def __init__(self, optimizer: Adafactor, max_grad_norm: float) -> None:
        self._optimizer, self._longest = optimizer, max_grad_norm
        self._squares: list[Tensor] = []
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.register_post_accumulate_grad_hook(self._use)

    def norm(self) -> Tensor:
        """The norm of all gradients, before clipping, since the last call of this method; a scalar on the device."""
        norm = torch.stack(self._squares).sum().sqrt()
        self._squares.clear()
        return norm

    @torch.no_grad()
    def _use(self, parameter: nn.Parameter) -> None:
        """Clip a weight's gradient, update the weight by it, and release it."""
        assert parameter.grad is not None
        norm = torch.linalg.vector_norm(parameter.grad, dtype=torch.float32)
        self._squares.append(norm.square())
        parameter.grad.mul_((self._longest / (norm + 1e-6)).clamp(max=1.0))
        self._optimizer.update(parameter)
        parameter.grad = None
