"""Two ways to cut gradients are one: torch's own, and within the optimizer's pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from dreambooth_nodes.trainer.training.gradient_clipping import clip_gradients
from dreambooth_nodes.trainer.training.optimizer import fused_adamw_works

SHAPES = ((4, 3, 3, 3), (5, 7), (6,), ())


def weights(scale: float) -> list[nn.Parameter]:
    """The first channels last, as its gradient is; gradients change their sign, and the last weight has none."""
    values = [torch.linspace(-1, 1, shape.numel()).view(shape) for shape in map(torch.Size, SHAPES)]
    values[0] = values[0].to(memory_format=torch.channels_last)
    made = [nn.Parameter(value) for value in values]
    for weight in made[:-1]:
        weight.grad = scale * torch.cos(7 * weight.detach())
    return made


@pytest.mark.parametrize("longest", [0.01, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_cut_as_torch_cuts_it(longest: float, dtype: torch.dtype) -> None:
    if not fused_adamw_works(nn.Parameter(torch.zeros(1))):
        pytest.skip("this torch has no fused AdamW for a CPU")
    norms, after = [], []
    for fused in (True, False):
        own = [nn.Parameter(weight.detach()) for weight in weights(1.0)]
        optimizer = AdamW(own, lr=1e-2, fused=fused)
        for step in range(4):
            for weight, like in zip(own, weights(3.0 if step % 2 else 0.1), strict=True):
                weight.grad = like.grad if like.grad is None else like.grad.to(dtype).float()
            norms.append(clip_gradients(own, longest, optimizer))
            optimizer.step()
        after.append(own)
    torch.testing.assert_close(norms[:4], norms[4:])
    torch.testing.assert_close(*after)
