"""Adafactor (Shazeer and Stern, 2018) without momentum: second moments per row and per column, not per weight.

Weights in bf16 are rounded stochastically: up or down with a probability by the distance, so that updates smaller than
the last bit are right on average, where rounding to nearest would drop every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .. import randomness
from ..distributed.sharding import mean_of_rows, own_part, own_rows, shard_like, sharded_rows

SMALLEST = 1e-30
"""Added to squared gradients (ε1 of the paper)."""
DECAY = 0.8
"""The exponent of the second moment's decay rate, 1 - step^-0.8."""
LONGEST = 1.0
"""The root mean square of an update, before the learning rate, that longer updates are scaled down to (the
paper's d).
"""


class Adafactor(torch.optim.Optimizer):
    """The optimizer: `step` updates all weights, `update` a single one. Weight decay is decoupled, as in AdamW.

    seed: of stochastic rounding, whose random bits are a function of it, the weight's index and the step.
    """

    def __init__(self, groups: list[dict[str, Any]], weight_decay: float, seed: int) -> None:
        super().__init__(groups, {"weight_decay": weight_decay})
        self.seed = seed

    @cached_property
    def _places(self) -> dict[nn.Parameter, tuple[int, int]]:
        """{weight: (its index among all, that of its group)}, taken at the first step: FSDP replaces the weights."""
        parameters = [(index, p) for index, group in enumerate(self.param_groups) for p in group["params"]]
        return {parameter: (place, group) for place, (group, parameter) in enumerate(parameters)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step on every weight that has a gradient."""
        for parameter in self._places:
            if parameter.grad is not None:
                self.update(parameter)

    @torch.no_grad()
    def update(self, parameter: nn.Parameter) -> None:
        """One step on this weight, or on the rows of it that this process holds; its gradient is kept unchanged."""
        assert parameter.grad is not None
        place, group = self._places[parameter]
        rate, decay = self.param_groups[group]["lr"], self.param_groups[group]["weight_decay"]
        state = self.state[parameter]
        state["step"] = state.get("step", torch.zeros(())) + 1
        step = int(state["step"])
        change = _scaled(own_rows(parameter.grad).float(), state, 1 - step**-DECAY, parameter)
        change.div_((mean_of_rows(change.square(), parameter).sqrt() / LONGEST).clamp_(min=1))
        weight = own_rows(parameter)
        if weight.dtype == torch.float32:
            weight.mul_(1 - rate * decay).add_(change, alpha=-rate)
            return
        exact = change.mul_(-rate).add_(weight, alpha=1 - rate * decay)
        bits = random_bits(parameter.shape, self._generator(place, step, weight.device))
        weight.copy_(stochastically_rounded(exact, own_part(bits, parameter)))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the second moments in their saved dtype, which torch would cast to the weights' dtype."""
        super().load_state_dict(state_dict)
        # Not by `_places`: accelerate loads the empty state before FSDP replaces the weights.
        for index, parameter in enumerate(p for group in self.param_groups for p in group["params"]):
            saved = state_dict["state"].get(index, {})
            self.state[parameter] = {
                name: tensor.clone() if name == "step" else tensor.to(parameter.device, copy=True)
                for name, tensor in saved.items()
            }
            if "row" in saved:
                self.state[parameter]["row"] = shard_like(self.state[parameter]["row"], parameter)

    def _generator(self, place: int, step: int, device: torch.device) -> torch.Generator:
        """The random generator for rounding one weight at one step."""
        seed = randomness.generator(self.seed, f"rounding.{place}", step).initial_seed()
        return torch.Generator(device).manual_seed(seed)


def random_bits(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """16 random bits for each of as many values, int32, on the generator's device."""
    return torch.randint(0, 2**16, tuple(shape), dtype=torch.int32, device=generator.device, generator=generator)


def stochastically_rounded(exact: Tensor, bits: Tensor) -> Tensor:
    """A float32 tensor rounded stochastically to bf16: the upper 16 bits, plus one in the last of them with the
    probability that the lower 16 bits give, as a fraction of 2^16.

    bits: see `random_bits`. Changes `exact`.
    """
    return exact.view(torch.int32).add_(bits).bitwise_and_(-(2**16)).view(torch.float32).bfloat16()


def _scaled(gradient: Tensor, state: dict[str, Tensor], forgets: float, weight: Tensor) -> Tensor:
    """The gradient divided by the root of its second moment, in place. forgets: the decay rate. weight: the whole or
    sharded weight whose rows the gradient's are.
    """
    square = gradient.square().add_(SMALLEST)
    if gradient.ndim < 2:
        return gradient.mul_(_moved(state, "square", sharded_rows(square, weight), forgets).rsqrt())
    by_row = square.mean(dim=tuple(range(1, square.ndim)), keepdim=True)
    row = _moved(state, "row", sharded_rows(by_row, weight), forgets)
    column = _moved(state, "column", mean_of_rows(square, weight, dim=0), forgets)
    return gradient.mul_((row / mean_of_rows(row, weight)).rsqrt_()).mul_(column.rsqrt())


def _moved(state: dict[str, Tensor], name: str, value: Tensor, forgets: float) -> Tensor:
    """The moving average `name` in `state`, updated by `value`; this process's rows of it where it is sharded."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    return own_rows(state[name]).lerp_(own_rows(value), 1 - forgets)
