"""What is checked where options are made: each on its own, and those that have to fit each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import TrainOptions


class OptionError(ValueError):
    """An option out of its range; the message names the value and what is allowed."""


def require(holds: bool, name: str, value: Any, allowed: str) -> None:
    """Raises OptionError where it does not hold."""
    if not holds:
        raise OptionError(f"{name} is {value!r}; it must be {allowed}.")


def require_number(name: str, value: Any, kind: type, allowed: str, fits: Callable[[float], bool]) -> None:
    """Hosts hand over what a workflow or a file says: a text or a NaN is as likely as a number out of range."""
    number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    require(
        number and abs(value) <= sys.float_info.max and fits(value),
        name,
        value,
        f"{'a whole number, ' if kind is int else ''}{allowed}",
    )


def require_levers_that_fit(options: TrainOptions) -> None:
    """What saves memory in one method or with one optimizer alone. Raises OptionError, naming the way out."""
    refused = {
        "base_in_8_bits is True, and method 'full' trains the base itself": options.base_in_8_bits
        and options.method == "full",
        "trained_weights is 'bf16', and method 'lora' trains few weights": options.trained_weights == "bf16"
        and options.method == "lora",
        "trained_weights is 'bf16', which AdamW would round away: set optimizer to 'adafactor', which rounds "
        "stochastically": options.trained_weights == "bf16" and options.optimizer != "adafactor",
        "fused_backward is True, and AdamW updates all weights at once: set optimizer to 'adafactor'": (
            options.fused_backward and options.optimizer != "adafactor"
        ),
        f"fused_backward is True, and accumulation is {options.accumulation}: a gradient that is used and freed at "
        "once cannot be added to; set accumulation to 1": options.fused_backward and options.accumulation > 1,
        "fused_backward is True, and precision 'fp16' has to see all gradients before it uses one: set precision to "
        "'bf16'": options.fused_backward and options.precision == "fp16",
    }
    for text, is_so in refused.items():
        if is_so:
            raise OptionError(f"{text}.")
