"""Reading and validation of a run's record, `run.json`, which may be damaged, of another version, or
written by others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

from ..events import Scored, Step, Validated
from ..files.safetensors import CheckpointError

FORMAT = 2
"""The version of records and keys."""
LONGEST = 255
"""The bytes of a file name that every system allows."""


def read_record(path: Path) -> dict[str, Any]:
    """The record in a run.json. Raises CheckpointError for one that is damaged, of another version, or invalid."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); move its folder away to train anew.") from error
    if not isinstance(record, dict) or record.pop("format", None) != FORMAT or "key" not in record:
        raise CheckpointError(f"{path} was written by another version; move its folder away to train anew.")
    wrong = sorted(name for name, fits in FITS.items() if name in record and not fits(record[name]))
    if wrong or not record["key"].startswith(path.parent.name):
        raise CheckpointError(
            f"{path} is not what a run writes ({', '.join(wrong) or 'key'}); move its folder away to train anew."
        )
    return record


def _is_file(entry: Any) -> bool:
    """Whether a value is an entry of "files": a step and a path."""
    if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
        return False
    file = entry.get("file")
    return isinstance(file, str) and "\0" not in file and len(PurePath(file).name.encode(errors="replace")) <= LONGEST


def _is_step(point: Any) -> bool:
    """Whether a value is an entry of "losses", with the fields of `Step`."""
    if not isinstance(point, dict) or point.keys() != _POINT:
        return False
    return all(isinstance(value, int | float) or (name == "prior" and value is None) for name, value in point.items())


def _is_scored(point: Any) -> bool:
    """Whether a value holds the fields of `Scored`."""
    if not isinstance(point, dict) or point.keys() != _SCORED or not isinstance(point["step"], int):
        return False
    unset = {"returns_photo", "chosen"}
    return all(isinstance(v, int | float) or (v is None and name in unset) for name, v in point.items())


def _is_validated(point: Any) -> bool:
    """Whether a value holds the fields of `Validated`."""
    if not isinstance(point, dict) or point.keys() != _VALIDATED or not isinstance(point["step"], int):
        return False
    return all(isinstance(value, int | float) for value in point.values())


def _is_mapping(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, Mapping)


def _is_text(value: Any) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


def _all_are(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A function: whether a value is a list whose items all satisfy `fits`."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


_POINT = {field.name for field in fields(Step)}
_SCORED = {field.name for field in fields(Scored)}
_VALIDATED = {field.name for field in fields(Validated)}
FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("key", "status", "name", "trigger", "identifier", "class_noun", "method", "base"), _is_text),
    **dict.fromkeys(("error", "planned", "device"), _is_text),
    **dict.fromkeys(("settings", "asked", "seconds", "photo_faults", "versions"), _is_mapping),
    "fixed_losses": _all_are(lambda point: isinstance(point, list) and len(point) == 2),
    "files": _all_are(_is_file),
    "losses": _all_are(_is_step),
    "scores": _all_are(_is_scored),
    "base_scores": _is_scored,
    "validation": _all_are(_is_validated),
    **dict.fromkeys(("choice", "scorer"), _is_text),
}
"""{field: a function that checks its value}."""
