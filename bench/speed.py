"""`python FOLDER bench-speed`: our trainer and diffusers' scripts, in turn, on the same base, photos and settings."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from .comparison import Comparison, Round, compare, record, table
from .contenders import RANK, Contender, ScriptsMissing, child, contenders
from .materials import Materials, read_materials
from .measured_process import WARM_UP, MeasurementError, measure

NOTE = f"""\
Each step: one photo and one class image of {{size}} px, prior loss weight 1, AdamW at the same rate; LoRA of rank
{RANK} on attention's projections; no text encoder trained. Steps per second: after the first {WARM_UP} of {{steps}}
steps, from the progress bar of either side; loading and saving are outside. Peak memory: of the whole process,
resident. Ratio: median of {{rounds}} rounds, in which the sides run one after the other, the order turned each time.
"""
NARROW_VAE = """\
In their favour: their folder holds toybase's VAE as it was trained (1.3 million weights), which they run in every
step; our file holds it padded to SD 1.5's full size, and we run it once for each image, before the first step.
"""


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write it; the exit status."""
    output: Path = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    # So that the training is stopped and the materials, over 1 GB, are removed as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if arguments.steps <= WARM_UP or arguments.rounds < 1:
            raise MeasurementError(f"--steps must be above {WARM_UP}, --rounds 1 or more")
        sides = contenders(arguments.diffusers.resolve(), arguments.cached_prompts)
        with tempfile.TemporaryDirectory(dir=output, prefix="materials-") as folder:
            Bench(arguments, sides, prepare(arguments, Path(folder)), output).run()
    except (MeasurementError, ScriptsMissing) as error:
        print(f"bench-speed: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(arguments: argparse.Namespace, folder: Path) -> Materials:
    """Have the materials made by a child, so that this process stays small."""
    print("writing the base, drawing class images", flush=True)
    words = child("bench.preparation", folder, arguments.resolution, arguments.precision, *arguments.base)
    if subprocess.run(words, check=False).returncode:
        raise MeasurementError("the materials could not be made; the reason stands above")
    return read_materials(folder)


class Bench:
    """All rounds of all methods."""

    def __init__(
        self, arguments: argparse.Namespace, sides: list[Contender], materials: Materials, output: Path
    ) -> None:
        self.arguments, self.sides, self.materials, self.output = arguments, sides, materials, output

    def run(self) -> None:
        """Measure everything, then report."""
        rounds = {method: self.measure_method(method) for method in self.arguments.methods}
        precision = self.materials.precision
        self.report([c for method, taken in rounds.items() for c in compare(method, precision, taken)], rounds)

    def measure_method(self, method: str) -> list[Round]:
        """All rounds of one method."""
        rounds: list[Round] = []
        for number in range(self.arguments.rounds):
            # Whatever else the machine does, no side is always the one that comes first.
            order = self.sides if number % 2 == 0 else self.sides[::-1]
            rounds.append({})
            for side in order:
                self._measure(side, method, number, rounds[-1])
        return rounds

    def _measure(self, side: Contender, method: str, number: int, into: Round) -> None:
        trained = self.materials.folder / "trained"
        command = side.command(self.materials, method, self.arguments.steps, trained)
        log = self.output / f"{method} {number + 1} {side.name}.log"
        found = into[side.name] = measure(command, self.arguments.steps, log)
        shutil.rmtree(trained, ignore_errors=True)
        print(
            f"{method}, round {number + 1}, {side.name}: {found.steps_per_second:.2f} steps/s, "
            f"{found.peak_memory / 2**20:.0f} MiB, {found.seconds:.0f} s in all",
            flush=True,
        )

    def report(self, comparisons: list[Comparison], rounds: dict[str, list[Round]]) -> None:
        """Print the table with what it means; write it, and every measurement, into the output folder."""
        settings = {"size": self.materials.resolution, "steps": self.arguments.steps, "rounds": self.arguments.rounds}
        note = NOTE.format(**settings) + ("" if self.arguments.base else NARROW_VAE)
        machine = {"device": self.materials.device, **self.materials.machine}
        facts = ", ".join(f"{name} {value}" for name, value in machine.items())
        text = f"{table(comparisons)}\n\n{note}Measured with {facts}.\n"
        (self.output / "speed.md").write_text(text, encoding="utf-8")
        content = {
            "machine": machine,
            "settings": settings,
            "comparisons": [asdict(c) for c in comparisons],
            "rounds": {method: record(taken) for method, taken in rounds.items()},
        }
        (self.output / "speed.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        print(f"\n{text}\n{self.output / 'speed.json'}")
