"""The optimizers by name. A new one of a library is one entry here: choices, plan, metadata and checks follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

StateBytes = Callable[[Sequence[int]], int]
"""A function from the shape of a float32 weight to the bytes that the optimizer keeps beside it."""
BLOCK = 256
"""The number of values that share a scale in bitsandbytes' 8-bit states."""
LEAST_IN_8_BITS = 4096
"""The size in values from which bitsandbytes keeps a weight's states in 8 bits."""


def float32_values(count: int) -> StateBytes:
    """The bytes of so many float32 values for each weight."""
    return lambda shape: 4 * count * prod(shape)


def _by_rows_and_columns(shape: Sequence[int]) -> int:
    """The bytes of Adafactor's means: of each row and each column, or of every value of a vector."""
    return 4 * (shape[0] + prod(shape[1:]) if len(shape) > 1 else prod(shape))


def _in_8_bits(shape: Sequence[int]) -> int:
    """The bytes of two moments in 8 bits with a float32 scale for each block; of small weights in float32."""
    count = prod(shape)
    return 2 * (count + 4 * -(-count // BLOCK)) if count >= LEAST_IN_8_BITS else 8 * count


@dataclass(frozen=True)
class OptimizerKind:
    """An optimizer. title: its name for users. state_bytes: see `StateBytes`. kohya_name: in kohya's metadata.

    made_by: "module:class" of a library, whose constructor takes parameter groups, `weight_decay` and `settings`; "":
    this package's own (`training.optimizer`). package: that pip installs; "": always there. usual_rate: the learning
    rate that presets take, as a multiple of AdamW's; None: it finds its rate itself, and learning_rate does not apply.
    scheduled: whether the learning rate may follow a schedule. averages: whether the weights to use are others than
    those in training, between the library's `eval()` and `train()`. one_at_a_time: whether it can update a single
    weight, in bf16 too. shardable: whether it trains weights that FSDP spreads.
    """

    title: str
    state_bytes: StateBytes
    kohya_name: str
    made_by: str = ""
    package: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    usual_rate: float | None = 1.0
    scheduled: bool = True
    averages: bool = False
    one_at_a_time: bool = False
    shardable: bool = False


OPTIMIZERS: dict[str, OptimizerKind] = {
    "adamw": OptimizerKind("AdamW", float32_values(2), "torch.optim.adamw.AdamW", shardable=True),
    "adafactor": OptimizerKind("Adafactor", _by_rows_and_columns, "Adafactor", one_at_a_time=True, shardable=True),
    "adamw_8bit": OptimizerKind(
        "AdamW in 8 bits",
        _in_8_bits,
        "bitsandbytes.optim.adamw.AdamW8bit",
        made_by="bitsandbytes.optim:AdamW8bit",
        package="bitsandbytes",
    ),
    "lion": OptimizerKind(
        "Lion",
        float32_values(1),
        "lion_pytorch.lion_pytorch.Lion",
        made_by="lion_pytorch:Lion",
        package="lion-pytorch",
        # Its authors: a third to a tenth of AdamW's (Chen et al., 2023, section 5).
        usual_rate=0.2,
    ),
    "prodigy": OptimizerKind(
        "Prodigy",
        # Two moments, the weights at the start, and the sum of gradients.
        float32_values(4),
        "prodigyopt.prodigy.Prodigy",
        made_by="prodigyopt:Prodigy",
        package="prodigyopt",
        settings={"use_bias_correction": True, "safeguard_warmup": True},
        usual_rate=None,
    ),
    "adamw_schedule_free": OptimizerKind(
        "schedule-free AdamW",
        float32_values(2),
        "schedulefree.adamw_schedulefree.AdamWScheduleFree",
        made_by="schedulefree:AdamWScheduleFree",
        package="schedulefree",
        scheduled=False,
        averages=True,
    ),
}
"""{value of the option `optimizer`: the optimizer}."""
