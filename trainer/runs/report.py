"""A run's report for an issue: versions, settings, figures, log and plan in a zip, and nothing that is private."""

from __future__ import annotations

import getpass
import json
import platform
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.atomic import write_atomically
from .explanation import explain
from .run import Run

KEPT = (
    "status", "error", "method", "identifier", "class_noun", "photos", "priors", "size", "native_resolution",
    "photo_faults", "device", "versions", "settings", "planned", "plan", "seconds", "steps_per_second", "fixed_losses",
    "losses",
)  # fmt: skip
"""The fields of a record that a report holds: not the files' places, and no digest of a photo."""
PATHS = re.compile(
    r"""[A-Za-z]:[\\/][^\n"'<>|*?:]*            # C:\Users\…
    | \\\\[^\n"'<>|*?:]*                        # \\server\share\…
    | (?<![\w.)<])[/~](?=[\w.~/-])[^\n"':,;]*   # /home/…, ~/…
    | [\w.-]+(?:[\\/][\w.-]+)+\.\w{2,12}        # loras/dog.safetensors
    """,
    re.VERBOSE,
)
"""Paths in a text, to the end of what may still be one: too much is left out rather than too little."""
SHORTEST_NAME = 3
"""Characters of a name that is looked for inside a text; shorter ones are part of other words."""
DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in the zip: the least that one can have."""


@dataclass(frozen=True)
class Scrubber:
    """Takes paths and names out of texts. names: {what stands there: what is put in its place}."""

    names: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> Scrubber:
        """For a run: its own name, and the names of the user, the home folder and the machine."""
        own = {
            str(run.record.get("name", "")): "(name)",
            _user(): "(user)",
            Path.home().name: "(user)",
            platform.node(): "(machine)",
        }
        return cls({name: place for name, place in own.items() if len(name) >= SHORTEST_NAME})

    def text(self, text: str) -> str:
        """The text without them."""
        text = PATHS.sub("(path)", text)
        for name in sorted(self.names, key=len, reverse=True):
            text = re.sub(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", self.names[name], text, flags=re.IGNORECASE)
        return text

    def value(self, value: Any) -> Any:
        """Every text in a JSON value without them; keys are ours, and stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list) else value


def write_report(run: Run, path: Path) -> Path:
    """Write the report of a run. Raises FileExistsError where `path` exists, OSError, ValueError (see `explain`)."""
    if path.exists():
        raise FileExistsError(f"{path} exists: name a new file")
    contents = report_files(run)
    return write_atomically(path, lambda part: _write_zip(part, contents.items()))


def report_files(run: Run) -> dict[str, str]:
    """{name: text} of the files in a report."""
    scrubber = Scrubber.of(run)
    record = {name: run.record[name] for name in KEPT if name in run.record}
    record["base"] = str(run.record.get("base", ""))[:12]
    return {
        "report.json": json.dumps(scrubber.value(record), indent=1, ensure_ascii=False),
        # Our own sentences and figures: a run that is called "high" has to leave "the rate is too high" as it is.
        "explanation.txt": _explained(run),
        "log.txt": "\n".join(map(scrubber.text, run.log.read().splitlines())),
    }


def _explained(run: Run) -> str:
    """The run's findings, or why there are none."""
    try:
        found = explain(run.record)
    except ValueError as error:
        return str(error)
    return "\n".join(f"{one.name}: {one.what} {one.advice}" for one in found) or "nothing was found"


def _write_zip(path: Path, contents: Iterable[tuple[str, str]]) -> None:
    """Write a zip of these texts, without the time and the owner of any file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, text in contents:
            written.writestr(zipfile.ZipInfo(name, DATE), text, zipfile.ZIP_DEFLATED)


def _user() -> str:
    """The user's name; "" where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # Windows without USERNAME has no pwd to ask; a container's user may have no entry.
        return ""
