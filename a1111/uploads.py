"""Photos that a browser or a script sent: kept under names of ours, looked at as the nodes look at them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..trainer.operating_system import replace_path
from ..trainer.subject.photos import PhotoError
from .host import models
from .looks import look
from .safe_names import safe_names

MOST, MOST_CLASS_IMAGES = 200, 1000
"""Files of photos, and of class images."""
LARGEST = 200_000_000
"""Bytes of one file."""


class Sent(NamedTuple):
    """One file. name: what its own is made of; shown: what whoever sent it knows it by."""

    name: str
    shown: str
    content: bytes


def keep_files(files: Sequence[Path]) -> Path:
    """A folder with copies of these photos, the same one for the same photos. Raises ValueError, PhotoError."""
    _require_few(len(files))
    return _keep(_sent(files))


def keep_class_images(files: Sequence[Path]) -> Path | None:
    """The same for class images; None without any."""
    _require_not_too_many(len(files))
    return _keep(_sent(files)) if files else None


def keep_encoded(photos: Sequence[str]) -> Path:
    """The same for base64 texts, as the WebUI's API takes images. Raises ValueError, PhotoError."""
    _require_few(len(photos))
    return _keep(_sent_as_text(photos, "photos"))


def keep_encoded_class_images(pictures: Sequence[str]) -> Path | None:
    """The same for class images; None without any."""
    _require_not_too_many(len(pictures))
    return _keep(_sent_as_text(pictures, "class_images")) if pictures else None


def _sent(files: Sequence[Path]) -> list[Sent]:
    return [Sent(file.name, file.name, _whole(file)) for file in files]


def _sent_as_text(pictures: Sequence[str], field: str) -> list[Sent]:
    """field: of the request, for messages."""
    shown = [f"{field}[{index}]" for index in range(len(pictures))]
    return [Sent(f"{i:03d}.png", shown[i], _decoded(shown[i], text)) for i, text in enumerate(pictures)]


def _keep(files: Iterable[Sent]) -> Path:
    root = models.store().work / "photos"
    part = root / f".{uuid.uuid4().hex}.part"
    part.mkdir(parents=True)
    try:
        digest = hashlib.sha256()
        given = sorted(files)
        named = dict(zip(safe_names([sent.name for sent in given]), given, strict=True))
        for name, sent in named.items():
            digest.update(repr((name, len(sent.content))).encode() + sent.content)
            (part / name).write_bytes(sent.content)
        _require_usable(part, {name: sent.shown for name, sent in named.items()})
        folder = root / digest.hexdigest()[:24]
        if not folder.is_dir():
            replace_path(part, folder)
        return folder
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_usable(folder: Path, shown: dict[str, str]) -> None:
    """Raises PhotoError for the first that is not. shown: {name in the folder: name for the message}."""
    for one in look(sorted(folder.iterdir())):
        if one.fault:
            raise PhotoError(one.fault.replace(one.name, shown[one.name]))


def _require_few(count: int) -> None:
    if not count:
        raise PhotoError("there is no photo: give 3 to 5 of the subject")
    if count > MOST:
        raise PhotoError(f"{count} files were given; at most {MOST} are taken, and 3 to 5 are enough")


def _require_not_too_many(count: int) -> None:
    if count > MOST_CLASS_IMAGES:
        raise PhotoError(
            f"{count} class images were given; at most {MOST_CLASS_IMAGES} are taken: 100 to 200 are enough"
        )


def _whole(file: Path) -> bytes:
    _require_small(file.name, file.stat().st_size)
    return file.read_bytes()


def _require_small(name: str, size: int) -> None:
    if size > LARGEST:
        raise PhotoError(f"{name!r} has {size / 1e6:.0f} MB, and {LARGEST / 1e6:.0f} are taken: scale it down")


def _decoded(shown: str, text: str) -> bytes:
    content = text.partition(",")[2] if text.startswith("data:") else text
    _require_small(shown, len(content) * 3 // 4)
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise PhotoError(f"{shown} is not base64 ({error})") from error
