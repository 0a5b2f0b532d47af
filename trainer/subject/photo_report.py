"""A report on a folder of photos for a web page: each photo as it will be cropped, and its faults."""

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
from .photo_folder import sorted_folder
from .photos import Photo, PhotoError, read_photo

SHOWN = 40
"""The number of photos that are read at most: a larger folder is no DreamBooth subject, and the page would wait."""
LOOKED_AT = 512
"""The largest resolution, in pixels a side, at which photos are examined: faults show there, and memory is bounded."""


def photo_report(folder: Path, side: int, buckets: bool = False) -> dict[str, Any]:
    """The report: {"count": all photos, "photos": [{"name", "thumbnail" (a data URL), "faults": [{"name", "why"}],
    "caption": "" where it has none}], "captions": how many photos have one, "notes": the files that are not used, a
    sentence each}.

    side: the training resolution in pixels; with `buckets` each photo keeps its own shape, at about as many pixels.
    why: as `wording.sentence_and_values` returns it. A file that cannot be read has no thumbnail, and the fault
    "unreadable".

    Raises PhotoError for a folder without photos, ValueError for a side that cannot be trained at.
    """
    size = TrainingSize(side, side, buckets)
    found = sorted_folder(folder)
    files = found.photos
    state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files[:SHOWN])
    shown = zip(files[:SHOWN], _report(state, size), strict=True)
    photos = [{**entry, "caption": found.captions.get(file, "")} for file, entry in shown]
    return {
        "count": len(files),
        "photos": photos,
        "captions": len(found.captions),
        "notes": [*found.warnings, *found.notes],
    }


def fault_counts(photos: Sequence[Photo]) -> dict[str, int]:
    """{name of a fault: how many of the photos have it}; of the first 40 photos, whose size is that of the training."""
    found = faults(photos[:SHOWN])
    return dict(Counter(fault.name for own in found for fault in own))


@lru_cache(maxsize=8)
def _report(state: tuple[tuple[str, int, int], ...], size: TrainingSize) -> list[dict[str, Any]]:
    """The entries of "photos". state: (path, modification time, bytes) of each file, so that the cache
    notices changes.
    """
    looked_at = min(size.width, LOOKED_AT)
    read = {path: _read(Path(path), looked_at, size.buckets) for path, _, _ in state}
    usable = [photo for photo in read.values() if isinstance(photo, Photo)]
    found = dict(zip((photo.name for photo in usable), faults(usable, size), strict=True))
    return [_shown(Path(path).name, photo, found) for path, photo in read.items()]


def _read(path: Path, side: int, buckets: bool) -> Photo | str:
    """The photo, or the error message with the file's name instead of its path."""
    try:
        return read_photo(path, side, side, buckets)
    except PhotoError as error:
        return str(error).replace(str(path), path.name)


def _shown(name: str, photo: Photo | str, found: dict[str, tuple[Fault, ...]]) -> dict[str, Any]:
    """One entry of "photos". found: {name of a photo: its faults}."""
    if isinstance(photo, str):
        return {"name": name, "thumbnail": None, "faults": [{"name": "unreadable", "why": sentence_and_values(photo)}]}
    own = [{"name": fault.name, "why": sentence_and_values(fault.why)} for fault in found[name]]
    return {"name": name, "thumbnail": thumbnail_url(photo.pixels), "faults": own}
