"""A packed convolution is the convolution: the same answer, and the same gradient of its input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dreambooth_nodes.trainer.model.cpu_kernels import _packs, pack

LAYERS: dict[str, Callable[[], nn.Conv2d]] = {
    "1 x 1": lambda: nn.Conv2d(24, 40, 1),
    "3 x 3": lambda: nn.Conv2d(24, 40, 3, padding=1),
    "without bias": lambda: nn.Conv2d(24, 40, 3, padding=1, bias=False),
    "channels last": lambda: nn.Conv2d(24, 40, 3, padding=1).to(memory_format=torch.channels_last),
}
OTHERS: dict[str, nn.Module] = {
    # All but the first two in bf16, so that each differs in what it is named for alone.
    "1 x 1 in float32": nn.Conv2d(4, 4, 1).requires_grad_(False),
    "float64": nn.Conv2d(4, 4, 3, padding=1).double().requires_grad_(False),
    "stride": nn.Conv2d(4, 4, 3, stride=2, padding=1).bfloat16().requires_grad_(False),
    "dilation": nn.Conv2d(4, 4, 3, padding=1, dilation=2).bfloat16().requires_grad_(False),
    "groups": nn.Conv2d(4, 4, 3, padding=1, groups=2).bfloat16().requires_grad_(False),
    "reflected": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect").bfloat16().requires_grad_(False),
    "no padding": nn.Conv2d(4, 4, 3).bfloat16().requires_grad_(False),
    "linear": nn.Linear(4, 4).bfloat16().requires_grad_(False),
    "trained": nn.Conv2d(4, 4, 3, padding=1).bfloat16(),
}


SIZE = (5, 6)


def answers(layer: nn.Conv2d, shown: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """What it says, and the gradient of its input."""
    said = layer(shown)
    return said, torch.autograd.grad(said, shown, told)[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", LAYERS)
def test_it_says_and_passes_back_what_the_layer_does(kind: str, dtype: torch.dtype) -> None:
    if not _packs(dtype):
        pytest.skip("this torch packs nothing of this type on this processor")
    torch.manual_seed(0)
    layer = LAYERS[kind]().to(dtype).requires_grad_(False)
    shown = torch.randn(2, 24, *SIZE, dtype=dtype, requires_grad=True)
    told = torch.randn(2, 40, *SIZE, dtype=dtype)
    plain = answers(layer, shown, told)
    pack(layer, {SIZE})
    assert ("forward" in vars(layer)) == (dtype == torch.bfloat16 or layer.kernel_size == (3, 3))
    torch.testing.assert_close(answers(layer, shown, told), plain)


@pytest.mark.skipif(not _packs(torch.float32), reason="this torch packs nothing in float32 on this processor")
def test_in_float32_only_inputs_of_the_sizes_that_were_named_are_answered_by_packed_weights() -> None:
    """And the same bits in whatever order the sizes come, as a resumed run has to have them."""
    torch.manual_seed(0)
    one, other, plain = (LAYERS["3 x 3"]().requires_grad_(False) for _ in range(3))
    for layer in (one, other):
        layer.load_state_dict(plain.state_dict())
        pack(layer, {SIZE, (3, 3)})
    sizes = {SIZE: torch.randn(2, 24, *SIZE), (3, 3): torch.randn(1, 24, 3, 3), (7, 7): torch.randn(1, 24, 7, 7)}
    said = {size: one(shown) for size, shown in sizes.items()}
    again = {size: other(sizes[size]) for size in reversed(sizes)}
    assert all(torch.equal(said[size], again[size]) for size in sizes)
    assert torch.equal(said[7, 7], plain(sizes[7, 7]))
    assert sorted(vars(one)["forward"].args[1]) == [(3, 3), SIZE]


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_layer_stays_as_it_is(kind: str) -> None:
    pack(OTHERS[kind], {SIZE})
    assert "forward" not in vars(OTHERS[kind])
