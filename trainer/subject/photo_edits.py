"""What a user changed about the photos of a folder, on a page, without changing the folder."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ..files.safetensors import listed
from .captions import checked_caption, folded
from .photo_folder import PhotoFolder
from .photos import with_captions
from .raster import PhotoError
from .subject_folders import SubjectFolder

FIELDS = ("order", "excluded", "captions", "masks")
LARGEST_MASK = 2_000_000
"""Bytes of a painted mask, at most."""
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class PhotoEdits:
    """Changes to the photos of one folder. A photo's name is its file's; where the folder holds folders of subjects, it
    has its folder's in front, as in "10_sks dog/a.jpg".

    order: the photos that come first, in this order; the others follow by name. excluded: photos that are not trained
    on. captions: {photo: its caption on one line; "": none}. masks: {photo: its mask as a PNG of any size, white is
    trained on; b"": none}.
    """

    order: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    captions: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The photos that anything was changed about."""
        return {*self.order, *self.excluded, *self.captions, *self.masks}

    def within(self, folder: str) -> PhotoEdits:
        """The changes to the photos in one folder of several, by the names that they have there."""
        before = f"{folder}/"

        def own(names: Sequence[str]) -> list[str]:
            return [name.removeprefix(before) for name in names if name.startswith(before)]

        def of(values: Mapping[str, _Value]) -> dict[str, _Value]:
            return {name.removeprefix(before): value for name, value in values.items() if name.startswith(before)}

        excluded = frozenset(own(sorted(self.excluded)))
        return PhotoEdits(tuple(own(self.order)), excluded, of(self.captions), of(self.masks))


def edits_of(text: str, folder: str) -> PhotoEdits:
    """The changes to the photos of `folder` in the JSON text of a page, {folder: see `parsed_edits`}; none in an empty
    text, or where it does not name the folder. Raises PhotoError.
    """
    if not text.strip():
        return PhotoEdits()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise PhotoError(f"the edits of photos are no JSON ({error}): clear them and edit the photos anew") from error
    if not isinstance(found, dict):
        raise PhotoError('the edits of photos are no object of folders, {"my folder": {"excluded": ["a.jpg"]}}')
    return parsed_edits(found.get(folder, {}))


def parsed_edits(value: Any) -> PhotoEdits:
    """Edits from JSON: {"order": [name], "excluded": [name], "captions": {name: text}, "masks": {name: the PNG in
    base64}}, each of which may be missing. Raises PhotoError, naming what is wrong.
    """
    if not isinstance(value, dict) or (unknown := sorted(set(value) - set(FIELDS))):
        said = "no object" if not isinstance(value, dict) else f"{unknown[0]!r}, which is not known"
        raise PhotoError(f"the edits of a folder are {said}: they hold {', '.join(FIELDS)}")
    order, excluded = (_names(value.get(name, []), name) for name in FIELDS[:2])
    captions = _by_name(value.get("captions", {}), "captions", checked_caption)
    return PhotoEdits(tuple(order), frozenset(excluded), captions, _by_name(value.get("masks", {}), "masks", _png))


def _names(value: Any, what: str) -> list[str]:
    """A list of photos' names. Raises PhotoError."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PhotoError(f"{what} in the edits of photos is no list of names: give one such as ['a.jpg', 'b.jpg']")
    return value


def _by_name(value: Any, what: str, read: Callable[[str, str], _Value]) -> dict[str, _Value]:
    """{photo: what `read` makes of its text and its name}. Raises PhotoError."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise PhotoError(f"{what} in the edits of photos is no object of texts: give one such as {{'a.jpg': '…'}}")
    return {name: read(text, name) for name, text in value.items()}


def _png(text: str, name: str) -> bytes:
    """The bytes of a mask, from base64 with or without the beginning of a data URL. Raises PhotoError."""
    if len(text) > LARGEST_MASK * 4 // 3:
        raise PhotoError(f"the mask painted on '{name}' has more than {LARGEST_MASK:,} bytes: paint it smaller")
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except binascii.Error as error:
        raise PhotoError(f"the mask painted on '{name}' is not base64 ({error}): paint it anew") from error


def edited(
    folders: Sequence[SubjectFolder], root: Path, edits: PhotoEdits, captions: Sequence[str] | None = None
) -> tuple[SubjectFolder, ...]:
    """The subjects' folders inside `root`, or `root` itself, with these edits. captions: of a host, one for each photo
    in the edits' order; edited ones go before them. Raises PhotoError, also where no photo is left.
    """
    own = [edits if one.folder == root else edits.within(one.folder.name) for one in folders]
    read = [with_captions(in_order(one.files, mine), captions) for one, mine in zip(folders, own, strict=True)]
    return tuple(
        replace(one, files=with_edits(files, mine)) for one, files, mine in zip(folders, read, own, strict=True)
    )


def in_order(folder: PhotoFolder, edits: PhotoEdits) -> PhotoFolder:
    """The folder with its photos in the edits' order."""
    places = {folded(name): place for place, name in enumerate(edits.order)}
    photos = sorted(folder.photos, key=lambda path: places.get(folded(path.name), len(places)))
    return replace(folder, photos=tuple(photos))


def with_edits(folder: PhotoFolder, edits: PhotoEdits) -> PhotoFolder:
    """The folder with the edits' captions, masks and exclusions. Raises PhotoError where all photos are excluded."""
    named = {folded(path.name): path for path in folder.photos}
    captions = {path: text for name, text in edits.captions.items() if (path := named.get(folded(name)))}
    painted = {path: mask for name, mask in edits.masks.items() if (path := named.get(folded(name)))}
    excluded = frozenset(path for name in edits.excluded if (path := named.get(folded(name))))
    if folder.photos and len(excluded) == len(folder.photos):
        raise PhotoError(
            f"all {len(excluded)} photos are excluded: use at least one of {listed(sorted(edits.excluded))}"
        )
    texts = {path: text for path, text in {**folder.captions, **captions}.items() if text}
    return replace(folder, captions=texts, painted=painted, excluded=excluded)


def unknown_names(folders: Sequence[SubjectFolder], root: Path, edits: PhotoEdits) -> list[str]:
    """The photos that something was changed about, and that are not in the folders (any more)."""
    there = {
        folded(path.name if one.folder == root else f"{one.folder.name}/{path.name}")
        for one in folders
        for path in one.files.photos
    }
    return sorted(name for name in edits.names if folded(name) not in there)
