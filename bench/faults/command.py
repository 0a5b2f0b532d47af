"""`python FOLDER bench-faults`: every row, the table, and whether all is as promised."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from .row import Row, table


def run(arguments: argparse.Namespace) -> int:
    """Break everything, print the table, write it; 1 where anything is not as promised."""
    output: Path = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        rows = [_timed(row) for row in every_row(Path(folder), arguments.small, arguments.only)]
    text = table(rows)
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
