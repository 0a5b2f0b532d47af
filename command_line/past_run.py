"""RUN: a past run as a user names it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .flags import add_model_folders, add_output, store

if TYPE_CHECKING:
    from ..trainer.runs.run import Run
    from ..trainer.runs.store import Store


def add_run(parser: argparse.ArgumentParser) -> None:
    """RUN and where runs are."""
    text = "a run's folder, its result's file or name; nothing: the newest run in --output"
    parser.add_argument("run_name", nargs="?", default="", metavar="RUN", help=text)
    add_output(parser)
    add_model_folders(parser)


def named_run(arguments: argparse.Namespace) -> Run:
    """The run. Raises ValueError where there is none, naming what there is."""
    from ..trainer.runs.past_runs import runs

    name, path = arguments.run_name, Path(arguments.run_name)
    if name and (path / "run.json").is_file():
        return _in_folder(path.resolve())
    folders = store(arguments)
    found = list(runs(folders))
    wanted = [run for run in found if not name or name in _names(run, path, folders)]
    if not wanted:
        names = ", ".join(dict.fromkeys(str(run.record["name"]) for run in found)) or "none"
        raise ValueError(f"there is no run {name!r} in {arguments.output}; there are: {names}")
    return wanted[0]


def _in_folder(folder: Path) -> Run:
    """The run in `<output>/dreambooth/runs/<key>`."""
    from ..trainer.runs.run import open_run
    from ..trainer.runs.store import Store

    work = folder.parent.parent
    loras, checkpoints = work.parent / "loras", work.parent / "checkpoints"
    key = folder.name
    run = open_run(key, Store(loras, checkpoints, work))
    run.key = run.record.get("key", key)
    return run


def _names(run: Run, path: Path, folders: Store) -> set[str]:
    """What a run is called by: its name, its key, its files' names and paths."""
    from ..trainer.runs.run import relative

    files = [Path(entry["file"]) for entry in run.record.get("files", [])]
    own = {run.record["name"], run.key, run.folder.name, *(file.name for file in files), *(file.stem for file in files)}
    if path.is_file() and relative(path, folders) in {file.as_posix() for file in files}:
        own.add(str(path))
    return own
