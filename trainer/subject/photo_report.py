"""A report on a folder of photos before anything is trained: each photo as it will be cropped and shown, its faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..files.pictures import thumbnail_url
from ..wording import sentence_and_values
from .buckets import TrainingSize
from .photo_faults import Fault, faults
from .photos import Photo, PhotoError, read_photo
from .subject_folders import SubjectFolder, subject_folders

SHOWN = 40
"""The number of photos that a page reads at most: a larger folder is no DreamBooth subject, and the page would wait."""
LOOKED_AT = 512
"""The largest resolution, in pixels a side, at which photos are examined: faults show there, and memory is bounded."""


def photo_report(folder: Path, size: TrainingSize, class_noun: str = "", shown: int = SHOWN) -> dict[str, Any]:
    """The report, ready for JSON: {"count": all photos, "photos": see `_entry`, for the first `shown` of them,
    "captions", "masks": how many have one, "subjects": [{"folder", "identifier", "class_noun", "repeats", "photos": how
    many}], "sizes": [[width, height, how many of "photos"]], "notes": the files that are not used, a sentence each}.

    size: of the training. class_noun: of subjects whose folder names none. Raises PhotoError for a folder without
    photos, see `subject_folders`.
    """
    folders = subject_folders(folder, class_noun)
    draws = sum(len(one.files.photos) * one.repeats for one in folders)
    photos: list[dict[str, Any]] = []
    for one in folders:
        photos += _entries(one, size, one.repeats / draws, shown - len(photos), within=one.folder != folder)
    sizes = Counter(tuple(photo["size"]) for photo in photos if photo["size"])
    return {
        "count": sum(len(one.files.photos) for one in folders),
        "photos": photos,
        "captions": sum(len(one.files.captions) for one in folders),
        "masks": sum(photo["mask"] for photo in photos),
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
    return {**said, "repeats": one.repeats, "photos": len(one.files.photos)}


def _entries(one: SubjectFolder, size: TrainingSize, share: float, most: int, within: bool) -> list[dict[str, Any]]:
    """The entries of "photos" of one subject, `most` at most. share: of all draws, of each photo. within: whether the
    names have the subject's folder in front.
    """
    files = one.files.photos[: max(most, 0)]
    state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    before = f"{one.folder.name}/" if within else ""
    return [
        {
            **entry,
            "name": f"{before}{file.name}",
            "caption": one.files.captions.get(file, ""),
            "mask": entry["mask"] or file in one.files.masks,
            "share": share,
        }
        for file, entry in zip(files, _report(state, size), strict=True)
    ]


@lru_cache(maxsize=8)
def _report(state: tuple[tuple[str, int, int], ...], size: TrainingSize) -> list[dict[str, Any]]:
    """What of the entries of "photos" is read from the photos. state: (path, modification time, bytes) of each file, so
    that the cache notices changes.
    """
    looked_at = min(size.width, size.height, LOOKED_AT)
    read = {path: _read(Path(path), looked_at, size.buckets) for path, _, _ in state}
    usable = [photo for photo in read.values() if isinstance(photo, Photo)]
    found = dict(zip((photo.name for photo in usable), faults(usable, size), strict=True))
    return [_entry(photo, size, found) for photo in read.values()]


def _read(path: Path, side: int, buckets: bool) -> Photo | str:
    """The photo, or the error message with the file's name instead of its path."""
    try:
        return read_photo(path, side, side, buckets)
    except PhotoError as error:
        return str(error).replace(str(path), path.name)


def _entry(photo: Photo | str, size: TrainingSize, found: dict[str, tuple[Fault, ...]]) -> dict[str, Any]:
    """What one photo holds: {"thumbnail": a data URL, "faults": [{"name", "why"}], "pixels": width and height of the
    photo, "size": of the training, "mask": whether parts are transparent}; `_entries` adds "name", "caption" and
    "share": of all draws.

    why: as `wording.sentence_and_values` returns it. A photo that cannot be read has no thumbnail and no sizes, and the
    fault "unreadable". found: {name of a photo: its faults}.
    """
    if isinstance(photo, str):
        fault = {"name": "unreadable", "why": sentence_and_values(photo)}
        return {"thumbnail": None, "faults": [fault], "pixels": None, "size": None, "mask": False}
    height, width = photo.crop_frame.original
    return {
        "thumbnail": thumbnail_url(photo.pixels),
        "faults": [{"name": fault.name, "why": sentence_and_values(fault.why)} for fault in found[photo.name]],
        "pixels": [width, height],
        "size": list(size.nearest(width, height)),
        "mask": photo.mask is not None,
    }
