"""Captions of photos: in text files of their names, and in the tables that data sets keep them in."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.text import read_text
from .raster import PhotoError

CAPTIONS = (".txt", ".caption")
"""The ends of text files with a caption, the one that is read first; lower case."""
TABLES = ("metadata.jsonl", "metadata.csv")
"""The names of tables with captions, as Hugging Face's image folders have them."""
FILE_COLUMNS = ("file_name", "filename", "file", "image")
TEXT_COLUMNS = ("text", "caption", "prompt")
"""The names of a table's columns, the one that is read first."""
MAX_BYTES = 10_000
"""The size of a caption file at most."""
MAX_TABLE_BYTES = 10_000_000
"""The size of a table at most."""


def folded(name: str) -> str:
    """A file's name as it is compared: macOS writes é as two characters, and Windows knows no capitals."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@dataclass
class Captions:
    """The captions of some photos. texts: {photo: caption, on one line}; notes: what was not read, a sentence each."""

    texts: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def captions_of(photos: Sequence[Path], files: Iterable[Path]) -> Captions:
    """The captions of photos in these files of their folder, CAPTIONS and TABLES.

    A text file belongs to the photos whose name, with or without its end, is the text file's without its own. It goes
    before a table. Raises PhotoError for a file that cannot be read, and for a link that leads out of the folder.
    """
    found, orphans, several = Captions(), list[str](), list[str]()
    named = _by_name(photos)
    for path, own in sorted(_read(files), key=lambda pair: _rank(pair[0])):
        for name, text in own.items():
            meant = named.get(folded(name), ())
            if not meant:
                orphans.append(path.name if path.name.casefold() not in TABLES else f"{name} (in {path.name})")
            for photo in meant:
                if found.texts.setdefault(photo, text) != text:
                    several.append(f"{path.name} for {photo.name}")
    empty = [photo.name for photo, text in found.texts.items() if not text]
    found.texts = {photo: text for photo, text in found.texts.items() if text}
    if empty:
        found.notes.append(f"photos whose caption is empty, as if they had none: {_listed(empty)}")
    if orphans:
        found.notes.append(f"captions without a photo of their name: {_listed(orphans)}")
    if several:
        found.notes.append(f"captions that are not read, because there are others: {_listed(several)}")
    return found


def checked_caption(text: str, name: str) -> str:
    """A caption on one line. name: its photo's. Raises PhotoError above `MAX_BYTES`."""
    if (size := len(text.encode())) > MAX_BYTES:
        raise PhotoError(
            f"the caption of '{name}' is {size:,} bytes long, at most {MAX_BYTES:,} are read: shorten it to a sentence"
        )
    return " ".join(text.split())


def is_caption_file(name: str) -> bool:
    """Whether a file of this name holds captions."""
    return name.casefold() in TABLES or name.casefold().endswith(CAPTIONS)


def _by_name(photos: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """{folded name with and without its end: the photos of this name}."""
    found: dict[str, tuple[Path, ...]] = {}
    for photo in photos:
        for name in {folded(photo.stem), folded(photo.name)}:
            found[name] = (*found.get(name, ()), photo)
    return found


def _rank(path: Path) -> tuple[int, str]:
    """The order in which files of captions are read: the first of several for a photo counts."""
    name = path.name.casefold()
    kinds = (*CAPTIONS, *TABLES)
    return next(i for i, kind in enumerate(kinds) if name == kind or (kind in CAPTIONS and name.endswith(kind))), name


def _read(files: Iterable[Path]) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """(file, {name of a photo: caption}) of every file of captions; a photo's name may lack its end."""
    for path in files:
        require_inside(path, path.parent)
        if path.name.casefold() in TABLES:
            yield path, dict(_rows(path))
        else:
            yield path, {path.name[: -len(path.suffix)]: " ".join(_text(path, MAX_BYTES).split())}


def _text(path: Path, most: int) -> str:
    """The text in a file. Raises PhotoError for another encoding than UTF-8 and above `most` bytes."""
    size = path.stat().st_size
    if size > most:
        raise PhotoError(
            f"caption '{path}' is {size:,} bytes long, at most {most:,} are read: shorten it to a sentence"
        )
    try:
        return read_text(path)
    except ValueError as error:
        raise PhotoError(f"caption '{path}' is {error}") from error


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """(name of a photo, caption) of a table's rows. Raises PhotoError, naming the line, for a row that is none."""
    text = _text(path, MAX_TABLE_BYTES)
    rows: Iterable[tuple[int, Any]]
    if path.name.casefold().endswith(".csv"):
        rows = enumerate(csv.DictReader(text.splitlines()), start=2)
    else:
        rows = (
            (number, _parsed(path, number, line)) for number, line in enumerate(text.splitlines(), 1) if line.strip()
        )
    seen: dict[str, str] = {}
    for number, row in rows:
        name, caption = _cells(path, number, row)
        if seen.setdefault(folded(name), caption) != caption:
            raise PhotoError(f"'{path}', line {number}: there is another caption for {name!r} above; keep one of them")
        yield name, caption


def _parsed(path: Path, number: int, line: str) -> Any:
    """One line of a table of JSON objects."""
    try:
        return json.loads(line)
    except ValueError as error:
        raise PhotoError(f"'{path}', line {number}: no JSON ({error})") from error


def _cells(path: Path, number: int, row: Any) -> tuple[str, str]:
    """(name of a photo, caption) of a row; an empty caption where it has none."""
    cells = row if isinstance(row, dict) else {}
    name = next((cells[column] for column in FILE_COLUMNS if column in cells), None)
    columns = [column for column in TEXT_COLUMNS if column in cells]
    caption = (cells[columns[0]] or "") if columns else None
    if not isinstance(name, str) or not isinstance(caption, str):
        raise PhotoError(
            f"'{path}', line {number}: it needs the columns {FILE_COLUMNS[0]!r} and {TEXT_COLUMNS[0]!r} (or "
            f"{', '.join(map(repr, TEXT_COLUMNS[1:]))}), with texts in them"
        )
    return name, " ".join(caption.split())


def require_inside(path: Path, folder: Path) -> None:
    """Raises PhotoError if `path` is a link that leads out of `folder`, or nowhere."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    # Before Python 3.13, a loop of links raises RuntimeError.
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"photo '{path}' is a link that leads nowhere ({error}): put a copy there") from error
    if not inside:
        raise PhotoError(f"'{path}' is a link that leads out of its folder: put a copy there")


def _listed(names: Sequence[str], shown: int = 8) -> str:
    """The first few names, and how many there are."""
    few = ", ".join(names[:shown])
    return few if len(names) <= shown else f"{few} … ({len(names)} in all)"
