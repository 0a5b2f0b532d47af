"""A report on a folder of photos before anything is trained: each photo as it will be cropped and shown, its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..files.pictures import thumbnail_url
from ..wording import sentence_and_values
from .buckets import SMALLEST_BUCKET, TrainingSize
from .photo_edits import PhotoEdits, edited
from .photo_faults import Fault, faults
from .photo_folder import PhotoFolder
from .photos import Photo, PhotoError, read_photos
from .subject_folders import SubjectFolder, subject_folders

SHOWN = 40
"""The number of photos that a page reads at most: a larger folder is no DreamBooth subject, and the page would wait."""
LOOKED_AT = 512
"""The largest resolution, in pixels a side, at which photos are examined: faults show there, and memory is bounded."""
DARK = 0.25
"""How bright a thumbnail is where the mask is 0, as a share."""


def photo_report(
    folder: Path, size: TrainingSize, class_noun: str = "", shown: int = SHOWN, edits: PhotoEdits | None = None
) -> dict[str, Any]:
    """The report, ready for JSON: {"count": the photos that are trained on, "excluded": how many are not, "photos": see
    `_entry`, for the first `shown` of both, "captions", "masks": how many have one, "faults": {name: how many photos
    have it}, "subjects": [{"folder", "identifier", "class_noun", "repeats", "photos": how many}], "sizes": [[width,
    height, how many of "photos"]], "notes": the files that are not used, a sentence each}.

    size: of the training. class_noun: of subjects whose folder names none. edits: of a page. Raises PhotoError for a
    folder without photos, see `subject_folders`.
    """
    folders = edited(subject_folders(folder, class_noun), folder, edits or PhotoEdits())
    draws = sum(len(one.files.used) * one.repeats for one in folders)
    photos: list[dict[str, Any]] = []
    for one in folders:
        photos += _entries(one, size, one.repeats / max(draws, 1), shown - len(photos), within=one.folder != folder)
    used = [photo for photo in photos if not photo["excluded"]]
    sizes = Counter(tuple(photo["size"]) for photo in used if photo["size"])
    return {
        "count": sum(len(one.files.used) for one in folders),
        "excluded": sum(len(one.files.excluded) for one in folders),
        "photos": photos,
        "captions": sum(path in one.files.captions for one in folders for path in one.files.used),
        "masks": sum(photo["mask"] for photo in used),
        "faults": dict(Counter(fault["name"] for photo in used for fault in photo["faults"])),
        "subjects": [_subject(one) for one in folders],
        "sizes": [[*of_one, count] for of_one, count in sizes.most_common()],
        "notes": [note for one in folders for note in (*one.files.warnings, *one.files.notes)],
    }


def fault_counts(photos: Sequence[Photo]) -> dict[str, int]:
    """{name of a fault: how many of the photos have it}; of the first 40 photos, whose size is that of the training."""
    found = faults(photos[:SHOWN])
    return dict(Counter(fault.name for own in found for fault in own))


def _subject(one: SubjectFolder) -> dict[str, Any]:
    """One entry of "subjects"."""
    said = {"folder": one.folder.name, "identifier": one.identifier, "class_noun": one.class_noun}
    return {**said, "repeats": one.repeats, "photos": len(one.files.used)}


def _entries(one: SubjectFolder, size: TrainingSize, share: float, most: int, within: bool) -> list[dict[str, Any]]:
    """The entries of "photos" of one subject, `most` at most. share: of all draws, of each photo. within: whether the
    names have the subject's folder in front.
    """
    files = one.files.photos[: max(most, 0)]
    before = f"{one.folder.name}/" if within else ""
    return [
        {
            **entry,
            "name": f"{before}{file.name}",
            "caption": one.files.captions.get(file, ""),
            "share": 0.0 if file in one.files.excluded else share,
        }
        for file, entry in zip(files, _report(tuple(_state(one.files, file) for file in files), size), strict=True)
    ]


class _State(NamedTuple):
    """What a photo's entry depends on, so that the cache notices changes. stamps: modification time and bytes of the
    photo, and of its mask's file.
    """

    photo: Path
    mask: Path | None
    painted: bytes | None
    excluded: bool
    stamps: tuple[int, ...]


def _state(files: PhotoFolder, photo: Path) -> _State:
    """The state of one photo of a folder."""
    mask = files.masks.get(photo)
    read = [path.stat() for path in (photo, mask) if path is not None]
    stamps = tuple(number for file in read for number in (file.st_mtime_ns, file.st_size))
    return _State(photo, mask, files.painted.get(photo), photo in files.excluded, stamps)


@lru_cache(maxsize=8)
def _report(states: tuple[_State, ...], size: TrainingSize) -> list[dict[str, Any]]:
    """What of the entries of "photos" is read from the files. Excluded photos are no twins of others."""
    side = min(size.width, size.height, LOOKED_AT)
    # Squares so small have no buckets.
    looked_at = TrainingSize(side, side, size.buckets and side >= 2 * SMALLEST_BUCKET)
    read = {state: _read(state, looked_at) for state in states}
    used = [photo for state, photo in read.items() if isinstance(photo, Photo) and not state.excluded]
    found = dict(zip((photo.name for photo in used), faults(used, size), strict=True))
    return [{**_entry(photo, size, found), "excluded": state.excluded} for state, photo in read.items()]


def _read(state: _State, size: TrainingSize) -> Photo | str:
    """The photo with its mask, or the error message with the file's name instead of its path."""
    path = state.photo
    painted = {} if state.painted is None else {path: state.painted}
    folder = PhotoFolder((path,), masks={path: state.mask} if state.mask else {}, painted=painted)
    try:
        return read_photos(folder, size)[0]
    except PhotoError as error:
        return str(error).replace(str(path), path.name)


def _entry(photo: Photo | str, size: TrainingSize, found: Mapping[str, tuple[Fault, ...]]) -> dict[str, Any]:
    """What one photo holds: {"thumbnail": a data URL, dark where the mask is, "faults": [{"name", "why"}], "pixels":
    width and height of the photo, "size": of the training, "mask": whether parts are not trained on}; others add
    "name", "caption", "excluded", and "share": of all draws.

    why: as `wording.sentence_and_values` returns it. A photo that cannot be read has no thumbnail and no sizes, and the
    fault "unreadable". found: {name of a photo: its faults}.
    """
    if isinstance(photo, str):
        fault = {"name": "unreadable", "why": sentence_and_values(photo)}
        return {"thumbnail": None, "faults": [fault], "pixels": None, "size": None, "mask": False}
    height, width = photo.crop_frame.original
    shown = photo.pixels if photo.mask is None else photo.pixels * (DARK + (1 - DARK) * photo.mask)
    own = found.get(photo.name, ())
    return {
        "thumbnail": thumbnail_url(shown),
        "faults": [{"name": fault.name, "why": sentence_and_values(fault.why)} for fault in own],
        "pixels": [width, height],
        "size": list(size.nearest(width, height)),
        "mask": photo.mask is not None,
    }
