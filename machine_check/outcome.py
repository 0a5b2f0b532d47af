"""What one part of the check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

WORKS, FAILED, DOES_NOT_FIT, NOT_OFFERED, NOT_RUN = "works", "failed", "does not fit", "not offered here", "not run"
WITHIN = 0.10
"""How far the measured memory may be from the plan's count, as a share of it."""


@dataclass(frozen=True)
class Outcome:
    """status: WORKS, FAILED, DOES_NOT_FIT, NOT_OFFERED or NOT_RUN. text: of what works, a training's memory levers or a
    note; else why it does not.

    peak: bytes of tensors on the device; reserved: bytes that CUDA's allocator held; counted: bytes by the memory
    plan. first_loss: before the first step. sample_seconds: of one picture of four steps. seconds: of all of it.
    """

    name: str
    status: str
    text: str = ""
    steps_per_second: float | None = None
    peak: int | None = None
    reserved: int | None = None
    counted: int | None = None
    first_loss: float | None = None
    sample_seconds: float | None = None
    seconds: float = 0.0

    def with_seconds(self, seconds: float) -> Outcome:
        """The same with the seconds that it took."""
        return replace(self, seconds=round(seconds, 2))

    @property
    def ratio(self) -> float | None:
        """Measured over counted memory."""
        return self.peak / self.counted if self.peak is not None and self.counted else None

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "ratio": None if self.ratio is None else round(self.ratio, 3)}
