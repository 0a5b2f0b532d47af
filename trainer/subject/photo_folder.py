"""A folder of photos: which of its files are photos, which stand beside them, and which belong to neither."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files.safetensors import listed
from .captions import captions_of, folded, is_caption_file, require_inside
from .file_kinds import OF_A_SYSTEM, belongs_beside, masks_of, photos_of
from .raster import PhotoError
from .raw_files import RAW_SUFFIXES
from .several_pictures import holds_several_pictures


@dataclass(frozen=True)
class PhotoFolder:
    """The files of a folder. photos: sorted by name. captions, masks: {photo: its caption, its mask's file}.

    warnings: captions and pictures that are not used, notes: other files that are not; each one sentence. painted:
    {photo: the PNG that goes before its mask's file; b"": no mask}. excluded: the photos that are not trained on.
    """

    photos: tuple[Path, ...]
    captions: Mapping[Path, str] = field(default_factory=dict)
    masks: Mapping[Path, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    painted: Mapping[Path, bytes] = field(default_factory=dict)
    excluded: frozenset[Path] = frozenset()

    @property
    def used(self) -> tuple[Path, ...]:
        """The photos that are trained on."""
        return tuple(path for path in self.photos if path not in self.excluded)

    @property
    def captioned(self) -> str:
        """How many photos have a caption, one sentence."""
        captioned = sum(path in self.captions for path in self.used)
        return f"{captioned} of {len(self.used)} photos have captions"


def sorted_folder(folder: Path) -> PhotoFolder:
    """The files of a folder by what they are; hidden ones and subfolders are passed over.

    Raises PhotoError if there is no photo, for all files at once that neither are photos nor belong beside them, for
    RAW files without a photo of their name, for a bad caption, and for a link that leads out of the folder.
    """
    if not folder.is_dir():
        raise PhotoError(f"photo folder '{folder}' is not there or is no folder: check its path{_why_none(folder)}")
    files = sorted(filter(_counts, folder.iterdir()), key=lambda path: path.name)
    masks, photos = masks_of(photos_of(files))
    rest = [path for path in files if path not in photos and path not in masks.values()]
    captions = [path for path in rest if is_caption_file(path.name)]
    beside = [path for path in rest if path not in captions and belongs_beside(path, photos)]
    _require_none(folder, [path for path in rest if path not in captions and path not in beside])
    if not photos:
        raise PhotoError(
            f"photo folder '{folder}' holds no photo: put 3 to 5 images of the subject into it "
            "(subfolders are not searched)"
        )
    for path in (*photos, *masks.values()):
        require_inside(path, folder)
    texts = captions_of(photos, captions)
    passed = [path.name for path in beside if folded(path.name) not in OF_A_SYSTEM]
    notes = (f"passed over: {listed(passed)}",) if passed else ()
    warnings = (*texts.notes, *_of_several_pictures(photos))
    return PhotoFolder(tuple(photos), texts.texts, masks, warnings, notes)


def _why_none(folder: Path) -> str:
    """What in a path that leads nowhere was likely not meant, in brackets."""
    if hidden := [f"U+{ord(sign):04X}" for sign in str(folder) if unicodedata.category(sign) == "Cf"]:
        return f" (it holds {', '.join(hidden)}, which is not seen and came with copying: type the path anew)"
    if '"' in str(folder):
        return " (it holds a quote: one at its end comes from a backslash before it, and two from copying it as a path)"
    return " (a path, and not an address)" if str(folder).startswith("file:") else ""


def without_sidecars(files: Sequence[Path]) -> list[Path]:
    """The files without sidecars (captions, masks, system files): photos, and those that `sorted_folder` refuses."""
    masks, photos = masks_of(photos_of(files))
    beside = [path for path in files if is_caption_file(path.name) or belongs_beside(path, photos)]
    return [path for path in files if path not in beside and path not in masks.values()]


def caption_of(photo: Path) -> str | None:
    """The caption of one photo, from the files in its folder; see `sorted_folder`. Raises PhotoError."""
    return captions_of([photo], caption_files(photo)).texts.get(photo)


def caption_files(photo: Path) -> Iterator[Path]:
    """The files in a photo's folder that may hold its caption."""
    names = {folded(photo.stem), folded(photo.name)}
    for path in photo.parent.iterdir():
        table = is_caption_file(path.name) and not path.name.casefold().endswith((".txt", ".caption"))
        if is_caption_file(path.name) and (table or folded(path.stem) in names) and path.is_file():
            yield path


def _counts(path: Path) -> bool:
    """Whether a folder's entry is looked at: no hidden file and no folder."""
    return not path.name.startswith(".") and not path.is_dir()


def _of_several_pictures(photos: Sequence[Path]) -> Iterator[str]:
    """One sentence that names the files of several pictures, of each of which one is a photo."""
    if several := [path.name for path in photos if holds_several_pictures(path)]:
        yield f"of each animation or file of several pages one picture is used: {listed(several)}"


def _require_none(folder: Path, strange: list[Path]) -> None:
    """Raises PhotoError, naming all, where files are neither photos nor belong beside them."""
    raw = [path.name for path in strange if path.suffix.casefold() in RAW_SUFFIXES]
    others = [path.name for path in strange if path.name not in raw]
    said = []
    if raw:
        said.append(
            f"RAW files, which are not read: {listed(raw, 20)}; develop them to JPEG, PNG or TIFF (by the camera's own "
            "program, Lightroom, darktable or RawTherapee)"
        )
    if others:
        said.append(
            f"files that are no images of a kind that is read here (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, HEIC): "
            f"{listed(others, 20)}; save them as PNG or JPEG, or move them out of the folder"
        )
    if said:
        raise PhotoError(f"photo folder '{folder}' holds {'; and '.join(said)}")
