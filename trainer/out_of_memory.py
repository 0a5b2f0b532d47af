"""Out of memory: told apart from other failures, with what would fit, and the rungs that a run can climb down."""

from __future__ import annotations

import re
from dataclasses import replace

import torch

from .options import TrainOptions

SAID = re.compile(r"out of memory|can't allocate memory|not enough memory|std::bad_alloc", re.IGNORECASE)


class OutOfMemory(RuntimeError):
    """The run does not fit; the message says what would."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no memory left. A CPU and MPS say it in words alone."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and SAID.search(str(error)) is not None


def smaller(options: TrainOptions) -> TrainOptions | None:
    """The same training in less memory: activations recomputed, then batches halved and accumulated; None at the end.

    The gradients are the same but for rounding. A fused backward cannot accumulate.
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
    """What `smaller` has changed, for a warning."""
    if after.checkpointing and not before.checkpointing:
        return "checkpointing is switched on: activations are computed twice, about a third slower"
    return f"batch_size is {after.batch_size} and accumulation {after.accumulation}: the same step in smaller pieces"


def _and_accumulate(options: TrainOptions) -> str:
    return "" if options.fused_backward else f" (and accumulation to {2 * options.accumulation})"


def what_would_fit(options: TrainOptions, width: int, height: int) -> str:
    """What the user can change, cheapest first. width, height: pixels."""
    ways = []
    if not options.checkpointing:
        ways.append("switch checkpointing on")
    if options.batch_size > 1:
        smaller_batch = options.batch_size // 2
        ways.append(f"set batch_size to {smaller_batch}{_and_accumulate(options)}")
    if options.memory == "off":
        ways.append("set memory to auto")
    if options.method == "lora" and not options.base_in_8_bits:
        ways.append("keep the base in 8 bits (base_in_8_bits)")
    if options.method == "full" and not options.fused_backward:
        ways.append("set memory to '12 GB': Adafactor on weights in bf16, in a fused backward")
    if options.train_text_encoder:
        ways.append("leave the text encoder as it is")
    if options.method == "full":
        ways.append("choose the method lora, which needs about a quarter")
    elif options.rank > 4:
        ways.append(f"lower the rank from {options.rank}")
    if min(width, height) >= 128:
        ways.append(f"load the photos smaller than {width}x{height}")
    itself = "" if options.fit_memory else ", or switch fit_memory on, which tries the first two by itself"
    return f"There is not enough memory for this training. What would help, best first: {'; '.join(ways)}{itself}."
