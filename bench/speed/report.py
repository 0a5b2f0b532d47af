"""The tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .bars import Bar
from .comparison import Line
from .growth import Growth
from .limits import Limits
from .real_size import RealResult

MIB = 2**20
MAIN = (
    "training", "on", "contender", "steps/s", "images/s", "ours is faster by", "to the first step", "peak memory",
    "on the device", "of the matrix peak", "of the roofline",
)  # fmt: skip
NOTHING = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main_table(lines: Sequence[Line], real: Sequence[RealResult]) -> str:
    """Every contender in every training; real sizes that were not measured say why."""
    rows = [_cells(line) for line in lines]
    for result in real:
        missing = [result.name, *[NOTHING] * 2, result.failure, *[NOTHING] * (len(MAIN) - 4)]
        rows.extend([_cells(line) for line in result.lines] or [missing])
    return table(MAIN, rows)


def _cells(line: Line) -> list[str]:
    return [
        line.training,
        f"{line.device}, {line.precision}",
        line.contender,
        f"{line.steps_per_second:.2f}",
        f"{line.images_per_second:.2f}",
        NOTHING if line.ratio is None else "{:.2f} ({:.2f}..{:.2f})".format(*line.ratio),
        f"{line.first_step:.1f} s",
        _mib(line.peak_memory),
        NOTHING if line.device_memory is None else _mib(line.device_memory),
        NOTHING if line.of_matrix is None else f"{line.of_matrix:.1%}",
        NOTHING if line.of_roofline is None else f"{line.of_roofline:.1%}",
    ]


def bar_table(bars: Sequence[Bar]) -> str:
    """What was to be reached."""
    return table(("bar", "measured", "reached"), [(bar.text, bar.measured, _verdict(bar)) for bar in bars])


def growth_tables(found: Sequence[Growth]) -> str:
    """A table for each quantity; the last line is p where the column grows as value^p."""
    return "\n\n".join(_growth_table(one) for one in found)


def _growth_table(growth: Growth) -> str:
    head = (growth.varied.replace("_", " "), "steps/s", "images/s", "to the first step", "peak memory")
    rows = [
        (
            str(point.value),
            f"{point.found.steps_per_second:.2f}",
            f"{point.found.steps_per_second * point.images:.2f}",
            f"{point.found.first_step:.1f} s",
            _mib(point.found.peak_memory),
        )
        for point in growth.points
    ]
    step = f"time of a step: {growth.exponent(lambda found: 1 / found.steps_per_second):+.2f}"
    first = f"{growth.exponent(lambda found: found.first_step):+.2f}"
    memory = f"{growth.exponent(lambda found: found.peak_memory):+.2f}"
    return table(head, [*rows, ("**p**", step, "", first, memory)])


def limit_text(limits: Limits) -> str:
    """The measured peaks, and what a step of each training asks of them."""
    products = ", ".join(f"{speed / 1e9:.0f} GFLOP/s in {dtype}" for dtype, speed in limits.limit["matrix"].items())
    steps = [_step(task) for task in limits.tasks]
    head = ("training", "GFLOP a step", "MB a step", "roofline", "the largest parts of the roofline")
    bandwidth = f"{limits.limit['bandwidth'] / 1e9:.1f} GB/s read and written"
    return f"Measured peaks: {products}; {bandwidth}.\n\n{table(head, steps)}"


def _step(task: dict[str, Any]) -> list[str]:
    step = task["step"]
    parts = list(step["by_operation"].items())[:5]
    largest = ", ".join(f"{name} {seconds / step['seconds']:.0%}" for name, seconds in parts)
    milliseconds = f"{step['seconds'] * 1e3:.1f} ms"
    return [task["name"], f"{step['flops'] / 1e9:.2f}", f"{step['size'] / 1e6:.0f}", milliseconds, largest]


def phase_table(limits: Limits) -> str:
    """Where the time goes, and the least that it can be."""
    rows = [
        (
            task["name"],
            phase["name"],
            f"{phase['seconds']:.2f} s",
            f"{phase['floor']:.3f} s",
            f"{phase['seconds'] / phase['floor']:.1f}",
            phase["what"],
        )
        for task in limits.tasks
        for phase in task["phases"]
    ]
    return table(("training", "phase", "took", "floor", "times its floor", "what the floor is"), rows)


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"


def _verdict(bar: Bar) -> str:
    return "**no**" if bar.verdict == "no" else bar.verdict
