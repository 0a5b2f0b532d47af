"""A packed convolution is the convolution: the same answer, and the same gradient of its input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from dreambooth_nodes.trainer.packed_convolution import _packs, pack

LAYERS: dict[str, Callable[[], nn.Conv2d]] = {
    "1 x 1": lambda: nn.Conv2d(24, 40, 1),
    "3 x 3": lambda: nn.Conv2d(24, 40, 3, padding=1),
    "without bias": lambda: nn.Conv2d(24, 40, 3, padding=1, bias=False),
    "channels last": lambda: nn.Conv2d(24, 40, 3, padding=1).to(memory_format=torch.channels_last),
}
OTHERS: dict[str, nn.Module] = {
    # All but the first in bf16, so that each differs in what it is named for alone.
    "float32": nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False),
    "stride": nn.Conv2d(4, 4, 3, stride=2, padding=1).bfloat16().requires_grad_(False),
    "dilation": nn.Conv2d(4, 4, 3, padding=1, dilation=2).bfloat16().requires_grad_(False),
    "groups": nn.Conv2d(4, 4, 3, padding=1, groups=2).bfloat16().requires_grad_(False),
    "reflected": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect").bfloat16().requires_grad_(False),
    "no padding": nn.Conv2d(4, 4, 3).bfloat16().requires_grad_(False),
    "linear": nn.Linear(4, 4).bfloat16().requires_grad_(False),
    "trained": nn.Conv2d(4, 4, 3, padding=1).bfloat16(),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_it_says_and_passes_back_what_the_layer_does(kind: str) -> None:
    if not _packs():
        pytest.skip("this torch packs nothing on this processor")
    torch.manual_seed(0)
    layer = LAYERS[kind]().bfloat16().requires_grad_(False)
    shown = torch.randn(2, 24, 5, 6, dtype=torch.bfloat16, requires_grad=True)
    plain = layer(shown)
    told = torch.randn_like(plain)
    (wanted,) = torch.autograd.grad(plain, shown, told)
    pack(layer)
    said = layer(shown)
    assert "forward" in vars(layer)
    (gradient,) = torch.autograd.grad(said, shown, told)
    torch.testing.assert_close(said, plain)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_layer_stays_as_it_is(kind: str) -> None:
    pack(OTHERS[kind])
    assert "forward" not in vars(OTHERS[kind])
