"""`python -m tests.faults`: every row, the table, and whether all is as promised."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .row import Row, table

ROOT = Path(__file__).resolve().parents[2]


def main(words: Sequence[str] | None = None) -> int:
    """Break everything, print the table, write it; 1 where anything is not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a minute of it")
    parser.add_argument("--only", default="", metavar="PART", help="inputs, deaths, full_disk, two_jobs or memory")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / ".cache" / "faults",
        metavar="FOLDER",
        help="for faults.md and faults.json (default: .cache/faults)",
    )
    arguments = parser.parse_args(words)
    output: Path = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        rows = [_timed(row) for row in every_row(Path(folder), arguments.small, arguments.only)]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
    text = f"{table(rows)}\n\n{cpu:.0f} seconds of one core in all."
    (output / "faults.md").write_text(text + "\n", encoding="utf-8")
    content = [{**asdict(row), "kept": row.kept} for row in rows]
    (output / "faults.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"\n{text}\n\n{output / 'faults.json'}")
    return 1 if any(row.broken for row in rows) else 0


def every_row(folder: Path, small: bool, only: str = "") -> Iterator[Callable[[], Row]]:
    """What makes each row. small: enough to see that each promise is kept, in a minute. only: rows of one module."""
    # Before torch: a fork copies one thread alone, and a pool without its threads hangs.
    os.environ["OMP_NUM_THREADS"] = "1"
    from . import deaths, full_disk, inputs, memory, two_jobs
    from .setting import prepare

    setting = prepare(folder)
    for module in (inputs, deaths, full_disk, two_jobs, memory):
        if only in module.__name__:
            yield from module.rows(setting, small)


def _timed(make: Callable[[], Row]) -> Row:
    began = time.monotonic()
    row = make()
    row.seconds = time.monotonic() - began
    state = "as promised" if not row.broken else f"NOT: {row.broken[:3]}"
    print(f"{row.kind}: {row.kept} of {row.count} {state}, {row.seconds:.0f} s", file=sys.stderr, flush=True)
    return row
