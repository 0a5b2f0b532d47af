"""What the training has to fit in, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import Memory, Precision, TrainedWeights
from ..setting import field_of

setting = partial(field_of, "memory")


@dataclass(frozen=True, kw_only=True)
class MemoryFields:
    """What the training has to fit in, and what it keeps. See `TrainOptions`."""

    precision: Precision = setting(
        "auto",
        "Of the forward; the optimizer stays float32, and so do trained weights unless they are asked in bf16.",
    )
    checkpointing: bool = setting(False, "Recompute activations, not keep them: less memory, about a third slower.")
    memory: Memory = setting(
        "auto",
        "What the training has to fit in: auto is what is free on the device. It then sets checkpointing, "
        "base_in_8_bits, optimizer, trained_weights and fused_backward by itself; off leaves them as they are.",
    )
    base_in_8_bits: bool = setting(False, "LoRA: keep the frozen base in 8 bits, half of bf16; slower.")
    trained_weights: TrainedWeights = setting(
        "fp32", "full: bf16, rounded stochastically, is half of fp32; with adafactor."
    )
    fused_backward: bool = setting(
        False, "Use each gradient and free it at once; max_grad_norm is then of each weight's own gradient."
    )
    fit_memory: bool = setting(
        False,
        "Where memory runs out, go on with checkpointing, then with smaller batches.",
        changes_weights=False,
    )
