"""The result of a run: a file, and what it says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..files.safetensors import CheckpointError, read_metadata

PREFIX = "dreambooth."
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
LONGEST_NAME = 100


class FileNameError(ValueError):
    """A name that is no file name on every system."""


@dataclass(frozen=True)
class Personalized:
    """A model that has learned a subject. file: a LoRA (kohya keys) or a whole checkpoint.

    trained_from: fingerprint of the weights that the training began with.
    """

    file: Path
    method: str
    identifier: str
    class_noun: str
    trained_from: str
    steps: int
    seed: int

    @property
    def trigger(self) -> str:
        """ "[V] class", what a prompt says to draw the subject."""
        return f"{self.identifier} {self.class_noun}"

    def metadata(self) -> dict[str, str]:
        """The fields as text, for the header of the file."""
        fields = ("method", "identifier", "class_noun", "trained_from", "steps", "seed")
        own = {f"{PREFIX}{name}": str(getattr(self, name)) for name in fields}
        return {**own, f"{PREFIX}trigger": self.trigger}


def read_personalized(file: Path) -> Personalized:
    """What a file of ours says of itself. Raises CheckpointError for any other file."""
    own = {key.removeprefix(PREFIX): value for key, value in read_metadata(file).items() if key.startswith(PREFIX)}
    try:
        return Personalized(
            file=file,
            method=own["method"],
            identifier=own["identifier"],
            class_noun=own["class_noun"],
            trained_from=own["trained_from"],
            steps=int(own["steps"]),
            seed=int(own["seed"]),
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{file.name!r} was not made by DreamBooth Train: its header does not name a subject ({error})."
        ) from error


def checked_name(name: str) -> str:
    """`name`, if it can be a file's name on every system. Raises FileNameError otherwise."""
    stem = name.split(".")[0].strip().lower()
    reason = None
    if not name.strip() or name != name.strip() or name.startswith(".") or name.endswith("."):
        reason = "a name is not empty, and neither starts nor ends with a space or a dot"
    elif bad := FORBIDDEN.search(name):
        reason = f"{bad[0]!r} cannot stand in a file's name"
    elif len(name.encode()) > LONGEST_NAME:
        reason = f"it is {len(name.encode())} bytes long, and {LONGEST_NAME} are allowed"
    elif stem in RESERVED:
        reason = f"{stem!r} is reserved by Windows"
    if reason:
        raise FileNameError(f"The name {name[:60]!r} cannot be used: {reason}.")
    return name
