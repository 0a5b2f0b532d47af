"""`python FOLDER bench-speed`: our trainer beside rivals, beside the machine's limit, and as the work grows."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...trainer.operating_system import exit_on_stop
from ..diffusers_scripts import ScriptsMissing
from ..measured_process import WARM_UP, MeasurementError
from .bars import bars
from .comparison import Line, Trained, compare, record
from .contenders import Contender, contenders
from .growth import Growth, measure_growth
from .limits import Limits, counted
from .making import make
from .materials import Materials, Task
from .notes import note
from .real_size import RealResult, has_gpu, measure_rows, rounds_of
from .report import bar_table, growth_tables, limit_text, main_table, phase_table
from .rounds import Place, Round, take_rounds

SIDE = 64
"""Pixels: toybase's own."""
PHASE_STEPS = 20


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, write them; the exit status."""
    output: Path = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    # So that the training is stopped and the materials, over 1 GB, are removed as after Ctrl-C.
    exit_on_stop()
    try:
        if arguments.steps <= WARM_UP or arguments.rounds < 1:
            raise MeasurementError(f"--steps must be above {WARM_UP}, --rounds 1 or more")
        folders = [folder and folder.resolve() for folder in (arguments.diffusers, arguments.kohya)]
        sides = contenders(folders[0], arguments.cached_prompts, arguments.comfyui, folders[1])
        with tempfile.TemporaryDirectory(dir=output, prefix="materials-") as folder:
            materials = make(Path(folder), "toybase", SIDE, arguments.precision, "cpu")
            bench = Bench(arguments, sides, materials, output)
            bench.run()
        bench.report()
    except (MeasurementError, ScriptsMissing) as error:
        print(f"bench-speed: {error}", file=sys.stderr)
        return 1
    return 0


@dataclass
class Bench:
    """All that is measured, part by part."""

    arguments: argparse.Namespace
    sides: Sequence[Contender]
    materials: Materials
    output: Path
    limits: Limits | None = None
    lines: list[Line] = field(default_factory=list)
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    real: list[RealResult] = field(default_factory=list)

    def run(self) -> None:
        """Every part that is asked for."""
        parts, methods = self.arguments.parts, self.arguments.methods
        if "limit" in parts:
            tasks = [Task(method=method, steps=PHASE_STEPS) for method in methods]
            self.limits = counted(self.materials, tasks, self.output, phases=True)
        if "rounds" in parts:
            for number, method in enumerate(methods):
                self._measure_method(method, number)
        if "growth" in parts:
            self.growth = measure_growth(Place(self.materials, self.output))
        if "real" in parts:
            self.real = measure_rows(self.sides, self.arguments.rounds, self.output, has_gpu())

    def _measure_method(self, method: str, number: int) -> None:
        task = Task(method=method, steps=self.arguments.steps)  # type: ignore[arg-type]
        sides = [side for side in self.sides if method in side.methods and not side.real_size]
        rounds = take_rounds(Place(self.materials, self.output), task, sides, self.arguments.rounds, method)
        trained = Trained(f"toybase {method}", method, self.materials.device, self.materials.precision, 2)
        share = None if self.limits is None else self.limits.shares[number]
        self.lines.extend(compare(trained, sides, rounds, share))
        self.rounds[method] = rounds

    def report(self) -> None:
        """Print all tables, and write them and every measurement into the output folder."""
        text = self.text()
        (self.output / "speed.md").write_text(text, encoding="utf-8")
        (self.output / "speed.json").write_text(json.dumps(self.content(), indent=2) + "\n", encoding="utf-8")
        print(f"\n{text}\n{self.output / 'speed.json'}")

    def text(self) -> str:
        """The report."""
        said = note(self.arguments.steps, self.arguments.rounds, self._machine())
        parts = {
            "Speed and memory": f"{main_table(self.lines, self.real)}\n\n{said}",
            "Distance to the limit": self.limits and limit_text(self.limits),
            "Phases": self.limits and phase_table(self.limits),
            "Growth": growth_tables(self.growth),
            "Bars": bar_table(bars(self.lines, self.real)),
        }
        return "\n".join(f"## {title}\n\n{content}\n" for title, content in parts.items() if content)

    def content(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {
            "machine": self._machine(),
            "settings": {"size": SIDE, "steps": self.arguments.steps, "rounds": self.arguments.rounds},
            "lines": [asdict(line) for line in self.lines],
            "rounds": {method: record(taken) for method, taken in self.rounds.items()},
            "limits": self.limits and asdict(self.limits),
            "growth": [asdict(one) for one in self.growth],
            "real size": {"lines": [asdict(one) for r in self.real for one in r.lines], "rounds": rounds_of(self.real),
                          "failures": {result.name: result.failure for result in self.real if result.failure}},
            "bars": [asdict(bar) for bar in bars(self.lines, self.real)],
        }  # fmt: skip

    def _machine(self) -> dict[str, Any]:
        return {"device": self.materials.device, **self.materials.machine}
