"""Photos as the tab shows them: each as it will be cropped, why it cannot be used, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..trainer.subject.buckets import SMALLEST_SIDE, TrainingSize
from ..trainer.subject.captions import folded
from ..trainer.subject.photo_faults import faults
from ..trainer.subject.photo_folder import without_sidecars
from ..trainer.subject.photos import Photo, read_photo

SHOWN = 256
"""Pixels a side of a photo that is only looked through."""
LOOKED_AT = 512
"""Pixels at most of the side that faults are looked for in: they show there, and the memory is bounded."""


@dataclass(frozen=True)
class Look:
    """One photo as it would be trained on, or `fault`: why it cannot be. advice: what speaks against it."""

    name: str
    picture: Image.Image | None
    fault: str = ""
    advice: tuple[str, ...] = ()


def look(files: Sequence[Path]) -> list[Look]:
    """Every photo, decoded, turned and cropped; captions and other files beside photos are no photos, and a caption
    belongs to one.
    """
    return [*(_shown(file.name, _read(file, SHOWN)) for file in _photos(files)), *_lone_captions(files)]


def judge(files: Sequence[Path], resolution: int = 0, buckets: bool = False) -> list[Look]:
    """The same, with advice. resolution: pixels a side that will be trained on; 0: not known, and none is too small.
    buckets: each photo in its own shape, at about as many pixels.

    Raises ValueError for a side that cannot be trained.
    """
    size = TrainingSize(resolution, resolution, buckets) if resolution else None
    side = min(resolution or _smallest(_photos(files)), LOOKED_AT)
    # Photos so small have no buckets; nor could they be trained in them.
    whole = buckets and side >= 2 * SMALLEST_SIDE
    read = [(file.name, _read(file, side, whole)) for file in _photos(files)]
    usable = [photo for _, photo in read if isinstance(photo, Photo)]
    found = iter(faults(usable, size))
    judged = [
        _shown(name, photo, tuple(fault.why for fault in next(found)) if isinstance(photo, Photo) else ())
        for name, photo in read
    ]
    return [*judged, *_lone_captions(files)]


def _photos(files: Sequence[Path]) -> list[Path]:
    return without_sidecars(files)


def _lone_captions(files: Sequence[Path]) -> list[Look]:
    stems = {folded(name) for photo in _photos(files) for name in (photo.stem, photo.name)}
    own = [file for file in files if file.suffix.casefold() in (".txt", ".caption")]
    lone = [file.name for file in own if folded(file.stem) not in stems]
    why = "is the caption of no photo: name it as its photo, or leave it out"
    return [Look(name, None, f"{name} {why}") for name in lone]


def _smallest(files: Sequence[Path]) -> int:
    """The shortest side of all, as it can be trained: enlarged, a photo would look blurred."""
    read = [photo for file in files if isinstance(photo := _read(file, SHOWN), Photo)]
    sides = [min(photo.crop_frame.original) for photo in read]
    return max(min(sides, default=SHOWN) // 8 * 8, 32)


def _read(file: Path, side: int, buckets: bool = False) -> Photo | str:
    try:
        return read_photo(file, side, side, buckets)
    except ValueError as error:
        return str(error).replace(str(file), file.name)


def _shown(name: str, photo: Photo | str, advice: tuple[str, ...] = ()) -> Look:
    if isinstance(photo, str):
        return Look(name, None, photo)
    pixels = (photo.pixels.permute(1, 2, 0) * 255).round().byte().numpy()
    return Look(name, Image.fromarray(pixels), "", advice)
