"""Adafactor (Shazeer and Stern, 2018) without momentum: second moments per row and per column, not per weight.

Weights in bf16 are rounded stochastically: up or down with a probability by the distance, so that updates smaller than
the last bit are right on average, where rounding to nearest would drop every one of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import randomness

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
        parameters = [(index, p) for index, group in enumerate(self.param_groups) for p in group["params"]]
        self._place = {parameter: (place, group) for place, (group, parameter) in enumerate(parameters)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step on every weight that has a gradient."""
        for parameter in self._place:
            if parameter.grad is not None:
                self.update(parameter)

    @torch.no_grad()
    def update(self, parameter: nn.Parameter) -> None:
        """One step on this weight; its gradient is kept unchanged."""
        assert parameter.grad is not None
        place, group = self._place[parameter]
        rate, decay = self.param_groups[group]["lr"], self.param_groups[group]["weight_decay"]
        state = self.state[parameter]
        state["step"] = state.get("step", torch.zeros(())) + 1
        step = int(state["step"])
        change = _scaled(parameter.grad.float(), state, 1 - step**-DECAY)
        change.div_((change.square().mean().sqrt() / LONGEST).clamp_(min=1))
        if parameter.dtype == torch.float32:
            parameter.mul_(1 - rate * decay).add_(change, alpha=-rate)
            return
        exact = change.mul_(-rate).add_(parameter, alpha=1 - rate * decay)
        parameter.copy_(stochastically_rounded(exact, self._generator(place, step, parameter.device)))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the second moments in their saved dtype, which torch would cast to the weights' dtype."""
        super().load_state_dict(state_dict)
        for index, parameter in enumerate(self._place):
            saved = state_dict["state"].get(index, {})
            self.state[parameter] = {
                name: tensor.clone() if name == "step" else tensor.to(parameter.device, copy=True)
                for name, tensor in saved.items()
            }

    def _generator(self, place: int, step: int, device: torch.device) -> torch.Generator:
        """The random generator for rounding one weight at one step."""
        seed = randomness.generator(self.seed, f"rounding.{place}", step).initial_seed()
        return torch.Generator(device).manual_seed(seed)


def stochastically_rounded(exact: Tensor, generator: torch.Generator | None) -> Tensor:
    """A float32 tensor rounded stochastically to bf16: the upper 16 bits, plus one in the last of them with the
    probability that the lower 16 bits give, as a fraction of 2^16.

    Changes `exact`.
    """
    bits = exact.view(torch.int32)
    bits.add_(torch.randint(0, 2**16, bits.shape, dtype=torch.int32, device=exact.device, generator=generator))
    return bits.bitwise_and_(-(2**16)).view(torch.float32).bfloat16()


def _scaled(gradient: Tensor, state: dict[str, Tensor], forgets: float) -> Tensor:
    """The gradient divided by the root of its second moment, in place. forgets: the decay rate."""
    square = gradient.square().add_(SMALLEST)
    if gradient.ndim < 2:
        return gradient.mul_(_moved(state, "square", square, forgets).rsqrt())
    row = _moved(state, "row", square.mean(dim=tuple(range(1, square.ndim)), keepdim=True), forgets)
    column = _moved(state, "column", square.mean(dim=0, keepdim=True), forgets)
    return gradient.mul_((row / row.mean()).rsqrt_()).mul_(column.rsqrt())


def _moved(state: dict[str, Tensor], name: str, value: Tensor, forgets: float) -> Tensor:
    """The moving average `name` in `state`, updated by `value`."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    return state[name].lerp_(value, 1 - forgets)
