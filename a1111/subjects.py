"""What was trained before, for the tab and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..trainer.runs.past_runs import runs
from ..trainer.runs.run import Run
from .host import models


def subjects() -> list[dict[str, Any]]:
    """Every run, newest first: trigger, file (None where it is gone), method, steps, status, when, settings."""
    return [_subject(run) for run in runs(models.store())]


def _subject(run: Run) -> dict[str, Any]:
    record = run.record
    files = record.get("files", [])
    file = models.store().work.parent / files[-1]["file"] if files else None
    seconds = (run.folder / "run.json").stat().st_mtime
    return {
        "trigger": record["trigger"],
        "file": file.name if file is not None and file.is_file() else None,
        "method": record["method"],
        "steps": files[-1]["step"] if files else 0,
        "status": record.get("status", ""),
        "when": datetime.fromtimestamp(seconds).isoformat(" ", "minutes"),
        "photos": record["photos"],
        "priors": record["priors"],
        "settings": record["settings"],
    }
