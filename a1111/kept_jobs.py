"""What was asked for, on disk, so that a training can go on after the WebUI was closed or died."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ..trainer.files.atomic import write_json
from .asked import Asked
from .host import models

KEPT = 50


def keep(asked: Asked, job: str, status: str) -> None:
    """Note how a job stands; the oldest are forgotten."""
    folder = _folder()
    name = "".join(c for c in job if c.isalnum() or c == "-")
    write_json({"at": time.time(), "job": job, "status": status, "asked": asked.fields()}, folder / f"{name}.json")
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEPT:]:
        file.unlink(missing_ok=True)


def last_unfinished() -> Asked:
    """The newest request that did not come to its end. Raises ValueError where there is none."""
    kept = sorted(map(_read, _folder().glob("*.json")), key=lambda entry: -entry["at"])
    if not kept or kept[0]["status"] == "finished":
        raise ValueError("the last training is finished, or there is none: nothing to resume.")
    fields = kept[0]["asked"]
    # Requests of earlier versions name no class images.
    folders = {name: Path(fields[name]) for name in ("photos", "class_images") if fields.get(name)}
    for name, folder in folders.items():
        if not folder.is_dir():
            what = name.replace("_", " ")
            raise ValueError(f"the {what} of the last training, {folder}, are not there any more: drop them again.")
    return Asked(**{**fields, **folders})


def unfinished() -> Asked | None:
    """The request that would be resumed, or None."""
    try:
        return last_unfinished()
    except ValueError:
        return None


def _folder() -> Path:
    return models.store().work / "asked"


def _read(file: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return entry
