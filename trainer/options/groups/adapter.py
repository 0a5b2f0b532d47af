"""The shape of a LoRA and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import Targets
from ..setting import field_of

setting = partial(field_of, "adapter")


@dataclass(frozen=True, kw_only=True)
class AdapterFields:
    """The shape of a LoRA and its kin. See `TrainOptions`."""

    rank: int = setting(16, "Of the LoRA, 1 or more.", 1, widget_maximum=1024)
    alpha: float | None = setting(
        None,
        "LoRA's scale is alpha / rank; unset, alpha is the rank.",
        0,
        open_minimum=True,
        widget_maximum=1024,
    )
    conv_rank: int = setting(
        0,
        "lora, dora: the rank of 3 x 3 convolutions, at the same scale; 0: as the others. With targets "
        "transformer_and_resnet.",
        0,
        widget_maximum=1024,
        methods=("lora", "dora"),
        added_later=True,
    )
    factor: int = setting(
        0,
        "lokr: the smaller side of the Kronecker product's first factor, where it divides a layer's sides; the higher, "
        "the smaller the file. 0: as square as possible, the smallest.",
        0,
        widget_maximum=64,
        methods=("lokr",),
        added_later=True,
    )
    targets: Targets = setting(
        "transformer",
        "Layers that get a LoRA: attention projections; all of the transformer; residual blocks too.",
    )
