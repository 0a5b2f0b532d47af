"""A row of the table: how many were tried, and what of them was not as promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LISTED = 5


@dataclass
class Row:
    """kind: what was done. notes: figures that belong to it. broken: what was not as promised, in words."""

    kind: str
    count: int = 0
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _bad: int = 0

    def add(self, what: str, faults: Sequence[str]) -> None:
        """One more, with what was wrong with it."""
        self.count += 1
        self._bad += bool(faults)
        self.broken += [f"{what}: {fault}" for fault in faults]

    @property
    def kept(self) -> int:
        """How many ended as promised."""
        return self.count - self._bad


def table(rows: Sequence[Row]) -> str:
    """Markdown, and under it what was not as promised."""
    head = ["| kind | tried | as promised | not | seconds | |", "|---|---|---|---|---|---|"]
    lines = [
        f"| {r.kind} | {r.count} | {r.kept} | {r.count - r.kept} | {r.seconds:.0f} | {'; '.join(r.notes)} |"
        for r in rows
    ]
    total, kept = sum(r.count for r in rows), sum(r.kept for r in rows)
    lines.append(f"| **all** | {total} | {kept} | {total - kept} | {sum(r.seconds for r in rows):.0f} | |")
    faults = [f"- {r.kind}: {fault}" for r in rows for fault in r.broken[:LISTED]]
    return "\n".join([*head, *lines, *(["", *faults] if faults else [])])
