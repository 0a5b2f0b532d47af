"""The precision of a work whose precision is left to the machine."""

from __future__ import annotations

from accelerate import PartialState

from ....trainer.model.precision import AUTOCAST, forward_dtype
from ..contender import Work


def chosen_precision(work: Work) -> str:
    """fp32, bf16 or fp16: ours on the device that accelerate, and so diffusers' scripts, choose."""
    dtype = forward_dtype(work.precision, PartialState().device)
    return next(name for name, value in AUTOCAST.items() if value == dtype)
