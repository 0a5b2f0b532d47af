"""What was trained here, for a page: to look at, to load, to delete."""

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


class NotOurs(ValueError):
    """A file that none of our runs' records names."""


def history(store: Store) -> list[dict[str, Any]]:
    """The newest 100 results: what each says of itself, and where its run stands. Ready for JSON.

    A file that is torn, or deleted meanwhile, is logged and passed over.
    """
    entries = []
    for run, result in results(store)[:SHOWN]:
        try:
            entries.append(_entry(run, result, store))
        except (CheckpointError, OSError) as error:
            log.warning("%s", error)
    return entries


def card(result: Personalized) -> dict[str, Any]:
    """What a file of ours says of itself. thumbnail: a data URL or None; base: architecture and fingerprint.

    Raises CheckpointError for a header that is not what a run of ours writes.
    """
    said = read_metadata(result.file)
    try:
        return _card(result, said)
    except ValueError as error:
        raise CheckpointError(
            f"The header of {result.file.name!r} is not what a run of ours writes: {error}"
        ) from error


def _card(result: Personalized, said: Mapping[str, str]) -> dict[str, Any]:
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
            run.state.unlink(missing_ok=True)
            # Or a file from between would be taken for the finished result.
            run.write(status="stopped", files=[kept for kept in run.record["files"] if kept["file"] != file])
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
