"""Names, identifiers, class nouns: traversal, reserved names, control characters, too much of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from ....trainer.prompts import filled
from ....trainer.runs.personalized import checked_name
from ..setting import Setting
from .judging import Verdicts, accepted_or_refused, examples, refused

NAMES = (
    "", " ", ".", "..", "../dog", "..\\dog", "/etc/passwd", "C:\\dog", "dog/cat", "dog\\cat", "dog:stream", "dog?",
    "dog*", "<dog>", '"dog"', "dog|cat", "dog\0", "dog\n", "dog\x7f", " dog", "dog ", "dog.", ".dog", "con", "NUL",
    "aux.txt", "COM1", "lpt9.safetensors", "d" * 101, "犬" * 40,
)  # fmt: skip
WORDS = ("", " ", "\n", "a\nb", "a\0b", "a\x1bb", "w" * 101, "\u2028", "a\tb", "\u200f")


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """Listed, then made up."""
    asked = setting.request
    found = [(f"name {name!r}", refused(partial(replace, asked, name=name), "name")) for name in NAMES]
    found += [
        (f"identifier {word!r}", refused(partial(replace, asked, identifier=word), "identifier")) for word in WORDS
    ]
    nouns = [*WORDS, "[V]", "a [V] dog"]
    found += [(f"noun {w!r}", refused(partial(replace, asked.subject, class_noun=w), "class noun")) for w in nouns]
    found += [
        (f"[V] {w!r} in the noun", refused(partial(filled, "", w, "red dog"), "class noun")) for w in ("dog", "RED")
    ]
    return (
        found
        + examples(st.text(max_size=120), count, lambda text: _name(folder, text))
        + examples(st.tuples(st.text(), st.text()), count, lambda pair: accepted_or_refused(lambda: filled("", *pair)))
    )


def _name(folder: Path, text: str) -> list[str]:
    faults = accepted_or_refused(lambda: checked_name(text), "name")
    try:
        name = checked_name(text)
    except ValueError:
        return faults
    file = folder / f"{name}_00001.safetensors"
    file.write_bytes(b"")
    inside = file.resolve().parent == folder.resolve()
    file.unlink()
    return faults if inside else [*faults, f"{name!r} leads out of the folder"]
