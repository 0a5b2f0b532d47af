"""The result of a run: a model file and the facts in its metadata."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ..files.safetensors import CheckpointError, read_metadata
from ..operating_system import RESERVED

PREFIX = "dreambooth."
"""The prefix of this package's metadata fields."""
OTHERS = "other_triggers"
"""The metadata field of the triggers of further subjects, a JSON list."""
WORD_FILE = "word_file"
"""The metadata field of the name, without ending, of a learned word's file that belongs to the weights."""
WORD_OF = "word_of_"
"""How the name of a word's file begins that lies beside the weights that it belongs to."""
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
"""Characters that a file name must not have on some system."""
DIFFUSERS_WORD = "<{identifier}>"
"""How a prompt of diffusers says a learned word."""
WORDS_ALONE = ("textual_inversion", "instantbooth")
"""The methods whose results are a word that stands for the class noun too."""
LONGEST_NAME = 100
"""Bytes of a result's name, without number and ending."""


FIELDS = ("method", "identifier", "class_noun", "trained_from", "steps", "seed")
"""The metadata fields of every result, without their prefix."""
SUBJECT_FIELDS = frozenset(f"{PREFIX}{name}" for name in (*FIELDS, OTHERS, WORD_FILE, "trigger"))
"""All fields that `Personalized.metadata` writes."""


class FileNameError(ValueError):
    """A name that is not a valid file name on every system."""


@dataclass(frozen=True)
class Personalized:
    """A result: a model personalized to a subject. file: a LoRA (kohya's keys), a whole checkpoint, or a learned word.

    trained_from: the fingerprint of the base that it was trained from. steps: optimizer steps trained. word: how
    prompts say a learned word (see `Store`). others: the triggers of further subjects in the same file. word_file: the
    name, without ending, of the file of the word that was learned beside the weights; "": none.
    """

    file: Path
    method: str
    identifier: str
    class_noun: str
    trained_from: str
    steps: int
    seed: int
    word: str = DIFFUSERS_WORD
    others: tuple[str, ...] = ()
    word_file: str = ""

    @property
    def trigger(self) -> str:
        """The phrase for the subject in prompts: "[V] class", with the learned word in place of [V] where there is a
        `word_file`; the learned word alone for the methods in WORDS_ALONE. Of several subjects all phrases, separated
        by commas.
        """
        name = self.file.stem if self.method in WORDS_ALONE else self.word_file
        said = self.word.format(name=name, identifier=self.identifier) if name else self.identifier
        if self.method in WORDS_ALONE:
            return said
        return ", ".join((f"{said} {self.class_noun}", *self.others))

    def metadata(self) -> dict[str, str]:
        """The fields and the trigger phrase as metadata for the file's header."""
        own = {f"{PREFIX}{name}": str(getattr(self, name)) for name in FIELDS}
        others = {f"{PREFIX}{OTHERS}": json.dumps(self.others, ensure_ascii=False)} if self.others else {}
        word = {f"{PREFIX}{WORD_FILE}": self.word_file} if self.word_file else {}
        return {**own, **others, **word, f"{PREFIX}trigger": self.trigger}


def read_personalized(file: Path, word: str = DIFFUSERS_WORD) -> Personalized:
    """The result in a file, from its metadata. word: see `Store`. Raises CheckpointError for a file that this package
    did not write.
    """
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
            word=word,
            others=_texts(own.get(OTHERS, "[]")),
            word_file=own.get(WORD_FILE, ""),
        )
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{file.name!r} was not made by DreamBooth Train: its header does not name a subject ({error})."
        ) from error


def _texts(listed: str) -> tuple[str, ...]:
    """The texts of a JSON list. Raises ValueError for anything else."""
    found = json.loads(listed)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise ValueError(f"{OTHERS} is no list of texts")
    return tuple(found)


def checked_name(name: str) -> str:
    """The name, checked to be a valid file name on every system. Raises FileNameError."""
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


def word_name(name: str) -> str:
    """The name of a learned word's file: prompts say it, so it has no spaces, brackets or commas."""
    return re.sub(r"[^\w.-]+", "_", name)


def fitted_name(name: str, otherwise: str = "subject") -> str:
    """A name for a result, made of one that nobody typed, such as a folder's: a valid file name on every system.

    otherwise: where nothing is left of it.
    """
    # A file system's bytes that are no UTF-8 are lone surrogates.
    whole = unicodedata.normalize("NFC", name).encode(errors="replace").decode()
    cleaned = _cut(FORBIDDEN.sub("_", whole))
    if not cleaned.strip("_"):
        return "subject" if otherwise == "subject" else fitted_name(otherwise)
    if cleaned.split(".")[0].strip().lower() in RESERVED:
        cleaned = _cut(f"_{cleaned}")
    return checked_name(cleaned)


def _cut(name: str) -> str:
    """As much of a name as LONGEST_NAME bytes hold, in whole characters, without spaces and dots at its ends."""
    begun = re.sub(r"^[\s.]+", "", name).encode()[:LONGEST_NAME].decode(errors="ignore")
    return re.sub(r"[\s.]+$", "", begun)
