"""Bad inputs, by kind, each kind in a child: a library that crashes on one is seen too."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from .bad_inputs import options, photos, priors, records, tensors, words
from .disk import everything
from .forks import in_child
from .row import Row
from .setting import Setting

KINDS = (options, words, records, photos, tensors, priors)
MADE_UP, MADE_UP_SMALL = 60, 2


def rows(setting: Setting, small: bool) -> Iterator[Callable[[], Row]]:
    """A row for each kind."""
    for kind in KINDS:
        yield partial(_row, setting, kind, MADE_UP_SMALL if small else MADE_UP)


def _row(setting: Setting, kind: ModuleType, count: int) -> Row:
    row = Row(f"bad inputs: {kind.__name__.rpartition('.')[2]}")
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        outcome = in_child(lambda: _verdicts(setting, kind, Path(folder), count))
        if outcome.answer is None or outcome.faults:
            row.add("the kind", outcome.faults)
            return row
        for what, faults in outcome.answer["verdicts"]:
            row.add(what, faults)
        hosts = [
            f for f in everything(Path(folder)) if f.parent.name in ("loras", "checkpoints") or f.suffix == ".part"
        ]
        row.add("what is left", [f"{file.name} is left" for file in hosts])
    return row


def _verdicts(setting: Setting, kind: ModuleType, folder: Path, count: int) -> dict[str, Any]:
    # What the history passes over it logs, and here that is hundreds.
    logging.disable(logging.WARNING)
    return {"verdicts": kind.verdicts(setting, folder, count)}
