"""Photos as the tab shows them: each as it will be cropped, why it cannot be used, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..trainer.subject.buckets import SMALLEST_BUCKET, Size, TrainingSize
from ..trainer.subject.captions import captions_of, folded, is_caption_file
from ..trainer.subject.file_kinds import masks_of, photos_of
from ..trainer.subject.photo_faults import Fault, faults
from ..trainer.subject.photo_folder import PhotoFolder, without_sidecars
from ..trainer.subject.photos import Photo, PhotoError, read_photos

SHOWN = 256
"""Pixels a side of a photo that is only looked through."""
LOOKED_AT = 512
"""Pixels at most of the side that faults are looked for in: they show there, and the memory is bounded."""


@dataclass(frozen=True)
class Look:
    """One photo as it would be trained on, or `fault`: why it cannot be. advice: what speaks against it.

    pixels: its own width and height. size: what it is trained as; None: not known. masked: whether parts of it are not
    trained on.
    """

    name: str
    picture: Image.Image | None
    fault: str = ""
    advice: tuple[Fault, ...] = ()
    pixels: Size = (0, 0)
    size: Size | None = None
    caption: str = ""
    masked: bool = False


def look(files: Sequence[Path]) -> list[Look]:
    """Every photo, decoded, turned and cropped; captions and other files beside photos are no photos, and a caption
    belongs to one. Raises PhotoError for a caption that cannot be read.
    """
    beside = _beside(files)
    read = [(file.name, _read(file, beside, TrainingSize(SHOWN, SHOWN))) for file in without_sidecars(files)]
    return [*(_shown(name, photo) for name, photo in read), *_lone_captions(files)]


def judge(files: Sequence[Path], resolution: int = 0, buckets: bool = False) -> list[Look]:
    """The same, with advice. resolution: pixels a side that will be trained on; 0: not known, and none is too small.
    buckets: each photo in its own shape, at about as many pixels.

    Raises ValueError for a side that cannot be trained, PhotoError for a caption that cannot be read.
    """
    beside, photos = _beside(files), without_sidecars(files)
    size = TrainingSize(resolution, resolution, buckets) if resolution else None
    side = min(resolution or _smallest(photos, beside), LOOKED_AT)
    # Photos so small have no buckets; nor could they be trained in them.
    whole = buckets and side >= 2 * SMALLEST_BUCKET
    read = [(file.name, _read(file, beside, TrainingSize(side, side, whole))) for file in photos]
    found = iter(faults([photo for _, photo in read if isinstance(photo, Photo)], size))
    judged = [_shown(name, photo, next(found) if isinstance(photo, Photo) else (), size) for name, photo in read]
    return [*judged, *_lone_captions(files)]


def photo_count(files: Sequence[Path]) -> int:
    """How many photos there are among files, whether they can be used or not."""
    return len(without_sidecars(files))


def _beside(files: Sequence[Path]) -> PhotoFolder:
    """The photos among files, with their captions and masks: every upload may lie in a folder of its own."""
    masks, photos = masks_of(photos_of(files))
    try:
        texts = captions_of(photos, [file for file in files if is_caption_file(file.name)])
    except PhotoError as error:
        raise PhotoError(_without_folders(str(error), files)) from error
    return PhotoFolder(tuple(photos), texts.texts, masks)


def _lone_captions(files: Sequence[Path]) -> list[Look]:
    stems = {folded(name) for photo in without_sidecars(files) for name in (photo.stem, photo.name)}
    own = [file for file in files if file.suffix.casefold() in (".txt", ".caption")]
    lone = [file.name for file in own if folded(file.stem) not in stems]
    why = "is the caption of no photo: name it as its photo, or leave it out"
    return [Look(name, None, f"{name} {why}") for name in lone]


def _smallest(photos: Sequence[Path], beside: PhotoFolder) -> int:
    """The shortest side of all, as it can be trained: enlarged, a photo would look blurred."""
    shown = TrainingSize(SHOWN, SHOWN)
    read = [photo for file in photos if isinstance(photo := _read(file, beside, shown), Photo)]
    sides = [min(photo.crop_frame.original) for photo in read]
    return max(min(sides, default=SHOWN) // 8 * 8, 32)


def _read(file: Path, beside: PhotoFolder, size: TrainingSize) -> Photo | str:
    try:
        return read_photos(PhotoFolder((file,), beside.captions, beside.masks), size)[0]
    except ValueError as error:
        return _without_folders(str(error), [file, *beside.masks.values()])


def _without_folders(text: str, files: Sequence[Path]) -> str:
    """A message with the names of files in the place of their paths, which are temporary ones."""
    for file in files:
        text = text.replace(str(file), file.name)
    return text


def _shown(name: str, photo: Photo | str, advice: tuple[Fault, ...] = (), size: TrainingSize | None = None) -> Look:
    if isinstance(photo, str):
        return Look(name, None, photo)
    pixels = (photo.pixels.permute(1, 2, 0) * 255).round().byte().numpy()
    height, width = photo.crop_frame.original
    return Look(
        name,
        Image.fromarray(pixels),
        advice=advice,
        pixels=(width, height),
        size=size.nearest(width, height) if size else None,
        caption=photo.caption or "",
        masked=photo.mask is not None,
    )
