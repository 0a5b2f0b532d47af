"""Operations are counted from their shapes, and each takes at least its products or its bytes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from dreambooth_nodes.bench.speed.machine_limit import MachineLimit, measure_limit
from dreambooth_nodes.bench.speed.roofline import cost_of
from dreambooth_nodes.trainer.model.cpu_kernels import pack

LIMIT = MachineLimit({"float32": 1e9, "bfloat16": 1e10}, 1e6)
"""So little bandwidth that small products wait for their bytes."""
COMPUTES = MachineLimit({"float32": 1e6, "bfloat16": 1e7}, 1e12)


def test_a_linear_layer_and_its_backward_are_three_products() -> None:
    layer, x = nn.Linear(32, 48), torch.randn(16, 32, requires_grad=True)
    cost = cost_of(lambda: layer(x).sum().backward(), COMPUTES)
    assert cost.flops == 3 * 2 * 16 * 32 * 48
    assert cost.seconds == pytest.approx(cost.flops / 1e6, rel=1e-3)


def test_a_convolution_without_a_gradient_of_its_input_skips_that_product() -> None:
    layer, x = nn.Conv2d(4, 8, 3, padding=1), torch.randn(2, 4, 10, 10)
    forward = 2 * 2 * 10 * 10 * 8 * 4 * 9
    assert cost_of(lambda: layer(x), COMPUTES).flops == forward
    assert cost_of(lambda: layer(x).sum().backward(), COMPUTES).flops == 2 * forward


def test_a_packed_convolution_is_the_same_products() -> None:
    layer = nn.Conv2d(4, 8, 3, padding=1).bfloat16().requires_grad_(False)
    x = torch.randn(2, 4, 10, 10, dtype=torch.bfloat16, requires_grad=True)
    plain = cost_of(lambda: layer(x).sum().backward(), COMPUTES)
    pack(layer, ())
    assert cost_of(lambda: layer(x).sum().backward(), COMPUTES).flops == plain.flops > 0


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_attention_costs_the_same_products_by_either_kernel(backend: SDPBackend) -> None:
    q, k, v = (torch.randn(1, 2, n, 16) for n in (24, 40, 40))

    def work() -> None:
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(q, k, v)

    assert cost_of(work, COMPUTES).flops == 2 * 2 * (2 * 24 * 40 * 16)


def test_products_run_at_the_peak_of_their_own_dtype() -> None:
    def product(dtype: torch.dtype) -> float:
        a = torch.ones(64, 64, dtype=dtype)
        return cost_of(lambda: a @ a, COMPUTES).seconds

    assert product(torch.float32) == pytest.approx(10 * product(torch.bfloat16))


def test_what_is_no_product_takes_its_bytes_and_a_view_takes_nothing() -> None:
    x, y = torch.ones(1000), torch.ones(1000)
    assert cost_of(lambda: x + y, LIMIT).seconds == pytest.approx(3 * 4000 / 1e6)
    assert cost_of(lambda: x.add_(y), LIMIT).size == 3 * 4000
    assert [cost_of(lambda v=v: torch.dot(x, v), LIMIT).size for v in (y, x)] == [2 * 4000 + 4, 4000 + 4]
    assert cost_of(lambda: x.view(10, 100).t()[2:].expand(4, 98, 10), LIMIT).size == 0
    assert cost_of(lambda: torch.empty(1000), LIMIT).size == 0
    assert cost_of(lambda: x[torch.tensor([1, 2])], LIMIT).size < 100


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch before 2.6 cannot run it as it was")
def test_compiled_code_is_counted_as_it_was_written() -> None:
    layer = torch.compile(nn.Linear(32, 48), backend="aot_eager")
    assert cost_of(lambda: layer(torch.ones(16, 32)), COMPUTES).flops == 2 * 16 * 32 * 48


def test_an_operation_on_many_tensors_reads_and_writes_each() -> None:
    weights, moves = [torch.ones(1000), torch.ones(500)], [torch.ones(1000), torch.ones(500)]
    assert cost_of(lambda: torch._foreach_add_(weights, moves), LIMIT).size == 3 * 6000


def test_the_measured_limit_is_above_what_a_product_and_a_copy_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    from dreambooth_nodes.bench.speed import machine_limit

    monkeypatch.setattr(machine_limit, "SIDES", {"cpu": (256,)})
    monkeypatch.setattr(machine_limit, "COPIED", {"cpu": 2**24})
    found = measure_limit(torch.device("cpu"), torch.bfloat16)
    assert set(found.matrix) == {"float32", "bfloat16"}
    assert min(found.matrix.values()) > 1e8 and max(found.matrix.values()) < 1e15
    assert 1e8 < found.bandwidth < 1e13
