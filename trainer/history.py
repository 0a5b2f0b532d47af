"""What was trained here, for a page: to look at, to load, to delete."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from .checkpoint import read_metadata
from .past_runs import results
from .personalized import PREFIX, Personalized
from .run import Run, RunInUse, relative
from .store import Store

SHOWN = 100


class NotOurs(ValueError):
    """A file that none of our runs' records names."""


def history(store: Store) -> list[dict[str, Any]]:
    """The newest 100 results: what each says of itself, and where its run stands. Ready for JSON."""
    return [_entry(run, result, store) for run, result in results(store)[:SHOWN]]


def card(result: Personalized) -> dict[str, Any]:
    """What a file of ours says of itself. thumbnail: a data URL or None; base: architecture and fingerprint."""
    said = read_metadata(result.file)
    fields = ("method", "identifier", "class_noun", "steps", "seed", "trigger")
    return {
        "file": result.file.name,
        "name": said.get("modelspec.title", result.file.stem),
        **{name: getattr(result, name) for name in fields},
        "base": f"{said.get('modelspec.architecture', '').removesuffix('/lora')} {result.trained_from[:8]}".strip(),
        "resolution": said.get("modelspec.resolution", ""),
        "photos": int(said.get(f"{PREFIX}photos", 0)),
        "priors": int(said.get(f"{PREFIX}priors", 0)),
        "settings": json.loads(said.get(f"{PREFIX}settings", "{}")),
        "thumbnail": said.get("modelspec.thumbnail"),
    }


def delete_result(file: str, store: Store) -> None:
    """Delete the newest file of one of our runs, by its path as `history` gives it; the run's record forgets it.

    Raises NotOurs for any other path, and for a run that is going on.
    """
    for run, result in results(store):
        if relative(result.file, store) == file:
            _delete(run, result, file)
            return
    raise NotOurs(f"{file!r} is not among the results here; only those can be deleted.")


def _delete(run: Run, result: Personalized, file: str) -> None:
    try:
        with run.alone():
            result.file.unlink()
            run.write(files=[kept for kept in run.record["files"] if kept["file"] != file])
    except RunInUse as error:
        raise NotOurs(f"{file!r} is being trained right now; stop the training first.") from error


def _entry(run: Run, result: Personalized, store: Store) -> dict[str, Any]:
    stat = result.file.stat()
    return {
        **card(result),
        "path": relative(result.file, store),
        "status": run.record.get("status", ""),
        "trained": datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(timespec="seconds"),
        "bytes": stat.st_size,
    }
