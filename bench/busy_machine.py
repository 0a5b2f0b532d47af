"""`python -m bench.busy_machine`, in the repository's root: a training beside busy processes, and alone.

Pairs of one training of the command line, with OpenMP as torch leaves it and as `trainer/openmp.py` sets it, in turn;
the order turns with each pair. With --before FOLDER the left side is another checkout of this repository, as it was.
The busy processes are there when the settings are chosen, and again from the third step on: what comes before is not
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 3
MANY_STEPS = 10**6
BEFORE_LOADING = 1.0
"""Seconds after which busy processes are seen."""


def main(words: list[str] | None = None) -> int:
    """Print a line for every training and the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.busy_machine", description=__doc__)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 10], help="how many processes are beside it")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30, help="that each training is measured for")
    parser.add_argument("--before", type=Path, default=ROOT, help="a checkout that is measured as it was")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="busy-machine-") as name:
        base = Path(name, "toybase.safetensors")
        subprocess.run([sys.executable, ROOT, "toybase", base], check=True, stdout=subprocess.DEVNULL)
        for count in arguments.busy:
            pairs = [_pair(arguments.before, base, count, n, arguments.seconds) for n in range(arguments.pairs)]
            _report(count, pairs)
    return 0


def _pair(before: Path, base: Path, count: int, number: int, seconds: float) -> tuple[float, float]:
    """Steps a second: of the checkout `before` as torch leaves OpenMP, and of this one as we set it."""
    with busy_processes(count):
        time.sleep(BEFORE_LOADING)
        ours = _settings()
    sides: list[tuple[Path, dict[str, str]]] = [(before, {}), (ROOT, ours)]
    order = (0, 1) if number % 2 == 0 else (1, 0)
    speed = {side: steps_per_second(*sides[side], base, count, seconds) for side in order}
    print(f"beside {count}: {speed[0]:.3f} as torch leaves it, {speed[1]:.3f} with {ours}", flush=True)
    return speed[0], speed[1]


def _report(count: int, pairs: list[tuple[float, float]]) -> None:
    left, set_by_us = (median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(ours / theirs for theirs, ours in pairs)
    spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(
        f"beside {count}, medians of {len(pairs)}: {left:.3f} and {set_by_us:.3f} steps/s, ratio {spread}", flush=True
    )


def _settings() -> dict[str, str]:
    """What a process that starts now would choose; asked of one that has torch's settings unset."""
    question = "import json, runpy; print(json.dumps(runpy.run_path('trainer/openmp.py')['openmp_settings']()))"
    words = [sys.executable, "-c", question]
    answer = subprocess.run(
        words,
        cwd=ROOT,
        env=_without_settings(),
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    return dict(json.loads(answer.stdout))


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that only count."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def steps_per_second(checkout: Path, settings: Mapping[str, str], base: Path, busy: int, seconds: float) -> float:
    """Of a LoRA on the embedded base, by the command line of a checkout, for so many seconds from its third step on.

    settings: of OpenMP; torch's own defaults where there are none.
    """
    with tempfile.TemporaryDirectory(prefix="busy-machine-") as output:
        words = ["train", "--base", base, "--photos", ROOT / "toybase" / "subjects" / "spotted_dog", "--noun", "dog"]
        words += [
            "--identifier",
            "olt",
            "--priors",
            "4",
            "--prior-steps",
            "4",
            "--steps",
            MANY_STEPS,
            "--output",
            output,
        ]
        words += ["--device", "cpu", "--sample-count", "0", "--memory", "off", "--events"]
        # Said outright, for the command line would else choose for itself.
        environment = {**_without_settings(), **(settings or {"GOMP_SPINCOUNT": "300000"}), "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(
            [sys.executable, str(checkout), *map(str, words)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        try:
            return _speed(process, busy, seconds)
        finally:
            process.kill()
            process.wait()


def _speed(process: subprocess.Popen[str], busy: int, seconds: float) -> float:
    steps = _steps(process)
    for _ in range(WARM_UP):
        next(steps)
    with busy_processes(busy):
        began = next(steps)
        done, now = 0, began
        while now - began < seconds:
            now, done = next(steps), done + 1
    return done / (now - began)


def _steps(process: subprocess.Popen[str]) -> Iterator[float]:
    """When each step was told."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            yield time.perf_counter()
    raise RuntimeError(f"the training ended by itself, status {process.wait()}")


if __name__ == "__main__":
    sys.exit(main())
