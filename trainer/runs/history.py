"""The history of results for a web page: listing and deleting them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..files.safetensors import CheckpointError, read_metadata
from .past_runs import results
from .personalized import PREFIX, Personalized
from .run import Run, RunInUse, relative
from .store import Store

log = logging.getLogger(__name__)
SHOWN = 100
"""The number of results that are listed."""


class NotOurs(ValueError):
    """A file that is not in the record of any run of this package, or whose run is in progress."""


def history(store: Store) -> list[dict[str, Any]]:
    """The newest 100 results, each with its card, path, status, date and size in bytes; ready for JSON.

    A file that is damaged or was deleted meanwhile is logged and skipped.
    """
    entries = []
    for run, result in results(store)[:SHOWN]:
        try:
            entries.append(_entry(run, result, store))
        except (CheckpointError, OSError) as error:
            log.warning("%s", error)
    return entries


def card(result: Personalized) -> dict[str, Any]:
    """A result's description, from the file's metadata. thumbnail: a data URL or None; base: architecture and
    fingerprint.

    Raises CheckpointError for a header that this package does not write.
    """
    said = read_metadata(result.file)
    try:
        return _card(result, said)
    except ValueError as error:
        raise CheckpointError(
            f"The header of {result.file.name!r} is not what a run of ours writes: {error}"
        ) from error


def _card(result: Personalized, said: Mapping[str, str]) -> dict[str, Any]:
    """The description, from the metadata. Raises ValueError for fields that are malformed."""
    fields = ("method", "identifier", "class_noun", "steps", "seed", "trigger")
    return {
        "file": result.file.name,
        "name": said.get("modelspec.title", result.file.stem),
        **{name: getattr(result, name) for name in fields},
        "base": f"{said.get('modelspec.architecture', '').partition('/')[0]} {result.trained_from[:8]}".strip(),
        "resolution": said.get("modelspec.resolution", ""),
        "photos": int(said.get(f"{PREFIX}photos", 0)),
        "priors": int(said.get(f"{PREFIX}priors", 0)),
        "settings": json.loads(said.get(f"{PREFIX}settings", "{}")),
        "thumbnail": said.get("modelspec.thumbnail"),
    }


def delete_result(file: str, store: Store) -> None:
    """Delete a result by its path as `history` lists it: the newest file of its run, which is removed from the run's
    record.

    Raises NotOurs for any other path, and for a run that is in progress.
    """
    for run, result in results(store):
        if relative(result.file, store) == file:
            _delete(run, result, file)
            return
    raise NotOurs(f"{file!r} is not among the results here; only those can be deleted.")


def _delete(run: Run, result: Personalized, recorded_path: str) -> None:
    """Delete the result's file, the run's resumable state and the files of its scored steps; the record loses the file
    and says "stopped".

    recorded_path: of the file, as the record has it. Raises NotOurs for a run in progress.
    """
    try:
        with run.alone():
            result.file.unlink()
            run.state.unlink(missing_ok=True)
            run.kept.bound((), 0)
            # Otherwise an earlier, intermediate file would count as the finished result.
            run.write(status="stopped", files=[kept for kept in run.record["files"] if kept["file"] != recorded_path])
    except RunInUse as error:
        raise NotOurs(f"{recorded_path!r} is being trained right now; stop the training first.") from error


def _entry(run: Run, result: Personalized, store: Store) -> dict[str, Any]:
    """A result's entry in the history."""
    stat = result.file.stat()
    return {
        **card(result),
        "path": relative(result.file, store),
        "status": run.record.get("status", ""),
        "trained": datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(timespec="seconds"),
        "bytes": stat.st_size,
    }
