"""The memory levers: options that save memory, their order, and their descriptions for users."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..options import TrainOptions
from ..options.choices import ADAPTERS, READ_THE_BASE, TrainedWeights
from ..options.optimizers import OPTIMIZERS

CHANGE_WEIGHTS = ("base_in_8_bits", "optimizer", "trained_weights", "fused_backward")
"""The levers that change the trained weights."""


@dataclass(frozen=True, kw_only=True)
class Levers:
    """The memory levers of a run; each field is an option of `TrainOptions`."""

    checkpointing: bool
    base_in_8_bits: bool
    optimizer: str
    trained_weights: TrainedWeights
    fused_backward: bool

    @classmethod
    def of(cls, options: TrainOptions) -> Levers:
        """The levers in these options."""
        return cls(**{one.name: getattr(options, one.name) for one in fields(cls)})

    def applied_to(self, options: TrainOptions) -> TrainOptions:
        """The options with these levers."""
        return replace(options, **asdict(self))

    @property
    def changing_weights(self) -> dict[str, Any]:
        """{lever: its value} of those that change the trained weights, for the run's record."""
        return {name: getattr(self, name) for name in CHANGE_WEIGHTS}

    @property
    def in_words(self) -> str:
        """The levers that are in use, for messages."""
        said = {
            "checkpointing": self.checkpointing,
            "base in 8 bits": self.base_in_8_bits,
            OPTIMIZERS[self.optimizer].title: self.optimizer != "adamw",
            "weights in bf16": self.trained_weights == "bf16",
            "fused backward": self.fused_backward,
        }
        return ", ".join(name for name, is_so in said.items() if is_so) or "as it is"


def less_memory(options: TrainOptions) -> TrainOptions | None:
    """Options for the same training in less memory: first checkpointing, then smaller batches with more accumulation;
    None where neither helps further.

    The gradients are the same except for rounding. A fused backward cannot accumulate.
    """
    if not options.checkpointing:
        return replace(options, checkpointing=True)
    if options.fused_backward:
        return None
    if options.batch_size % 2 == 0:
        return replace(options, batch_size=options.batch_size // 2, accumulation=options.accumulation * 2)
    if options.batch_size > 1:
        return replace(options, batch_size=1, accumulation=options.accumulation * options.batch_size)
    return None


def difference_in_words(before: TrainOptions, after: TrainOptions) -> str:
    """The change that `less_memory` made, for a warning."""
    if after.checkpointing and not before.checkpointing:
        return "checkpointing is switched on: activations are computed twice, about a third slower"
    return f"batch_size is {after.batch_size} and accumulation {after.accumulation}: the same step in smaller pieces"


def _and_accumulate(options: TrainOptions) -> str:
    """The advice on accumulation that goes with halving the batch."""
    return "" if options.fused_backward else f" (and accumulation to {2 * options.accumulation})"


def memory_advice(options: TrainOptions, width: int, height: int) -> str:
    """The user's ways to make a training need less memory, those that cost least time and quality first.

    width, height: of the training images in pixels.
    """
    ways = []
    if not options.checkpointing:
        ways.append("switch checkpointing on")
    if options.batch_size > 1:
        smaller_batch = options.batch_size // 2
        ways.append(f"set batch_size to {smaller_batch}{_and_accumulate(options)}")
    if options.memory == "off":
        ways.append("set memory to auto")
    if options.method not in READ_THE_BASE and not options.base_in_8_bits:
        ways.append("keep the base in 8 bits (base_in_8_bits)")
    if options.method == "full" and not options.fused_backward:
        ways.append("set memory to '12 GB': Adafactor on weights in bf16, in a fused backward")
    if options.train_text_encoder:
        ways.append("leave the text encoder as it is")
    if options.method == "full":
        ways.append("choose the method lora, which needs about a quarter")
    elif options.method in ADAPTERS and options.method != "lidb" and options.rank > 4:
        ways.append(f"lower the rank from {options.rank}")
    if min(width, height) >= 128:
        ways.append(f"load the photos smaller than {width}x{height}")
    itself = "" if options.fit_memory else ", or switch fit_memory on, which tries the first two by itself"
    return f"There is not enough memory for this training. What would help, best first: {'; '.join(ways)}{itself}."
