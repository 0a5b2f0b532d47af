"""The photos of `train`: which can be used, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..trainer.subject.buckets import TrainingSize
from ..trainer.subject.photo_faults import cannot_teach, faults
from ..trainer.subject.photo_folder import PhotoFolder
from ..trainer.subject.photo_report import SHOWN
from ..trainer.subject.photos import Photo, read_photos
from ..trainer.subject.raster import PhotoError
from ..trainer.subject.subject import Subject


def usable_photos(folder: PhotoFolder, size: TrainingSize) -> tuple[Photo, ...]:
    """The photos of a folder. Raises PhotoError, also for those that cannot teach."""
    photos = read_photos(folder, size)
    if bad := [f"{photo.name}: {why}" for photo in photos if (why := cannot_teach(photo))]:
        raise PhotoError(f"{len(bad)} of {len(photos)} photos cannot be used. {' '.join(bad)}")
    return photos


def sizes_in_words(subject: Subject) -> Iterator[str]:
    """One line that says how many photos are trained at which size, where buckets were asked for."""
    if subject.buckets:
        sizes = (f"{count} of {width} x {height}" for (width, height), count in subject.sizes.items())
        yield f"photos by size: {', '.join(sizes)} pixels"


def close_ups_in_words(subject: Subject, asked: int) -> Iterator[str]:
    """One line that says how many close-ups there are, where any were asked for. asked: of each photo."""
    if asked:
        found = sum(len(one.close_ups) for one in subject.each)
        yield f"close-ups: {found}, of {found // asked} photos that are large enough"


def faults_in_words(photos: Sequence[Photo]) -> Iterator[str]:
    """What speaks against some photos, one line for each fault, as ComfyUI's panel and the WebUI's tab tell it."""
    found: dict[str, list[str]] = {}
    for photo, own in zip(photos[:SHOWN], faults(photos[:SHOWN]), strict=True):
        for fault in own:
            found.setdefault(fault.why, []).append(photo.name)
    yield from (f"{', '.join(names)}: {why}" for why, names in found.items())
