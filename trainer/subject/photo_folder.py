"""A folder of photos: which of its files are photos, which stand beside them, and which belong to neither."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files.safetensors import listed
from .captions import captions_of, folded, is_caption_file, require_inside
from .raster import PhotoError
from .raw_files import RAW_SUFFIXES
from .several_pictures import holds_several_pictures

PHOTO_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".avif", ".heic", ".heif", ".hif"),
    }
)
SIDECAR_SUFFIXES = frozenset(
    {
        # What editing programs and phones write beside a photo.
        *(".xmp", ".aae", ".thm", ".lrv", ".dop", ".pp3", ".cos", ".on1", ".xml", ".exif", ".gpx"),
        # What trainers write: settings, tables, caches.
        *(".json", ".jsonl", ".csv", ".tsv", ".parquet", ".toml", ".yaml", ".yml", ".npz", ".npy", ".log"),
        # What systems and people write.
        *(".md", ".rst", ".ini", ".db", ".info", ".lnk", ".url", ".md5", ".sha1", ".sha256", ".html"),
    }
)
"""The ends of files beside photos that are no photos, whatever their name."""
OF_A_PHOTO = frozenset({".mov", ".mp4", ".m4v", ".safetensors", *RAW_SUFFIXES})
"""The ends of files that stand beside a photo of the same name: a phone's moving picture, a cache, a camera's RAW."""
OF_A_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "picasa.ini"})
WORDS = frozenset({"license", "licence", "readme", "notice", "copying", "copyright", "authors", "changelog"})
"""The names of files about a data set, with or without an end."""
MASK, CONDITION = "-masklabel", "-condlabel"
"""The ends of the names of OneTrainer's pictures beside a photo: its mask, and what it is not trained on."""
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
"""The first bytes of pictures, by which a file without a known end is one."""
HEIF = b"ftyp"
"""Bytes 4 to 8 of HEIC and AVIF, and of films."""
HEIF_BRANDS = (b"hei", b"hev", b"avi", b"mif1", b"msf1")


@dataclass(frozen=True)
class PhotoFolder:
    """The files of a folder. photos: sorted by name. captions, masks: {photo: its caption, its mask's file}.

    warnings: captions and pictures that are not used, notes: other files that are not; each one sentence.
    """

    photos: tuple[Path, ...]
    captions: Mapping[Path, str] = field(default_factory=dict)
    masks: Mapping[Path, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def captioned(self) -> str:
        """How many photos have a caption, one sentence."""
        return f"{len(self.captions)} of {len(self.photos)} photos have captions"


def sorted_folder(folder: Path) -> PhotoFolder:
    """The files of a folder by what they are; hidden ones and subfolders are passed over.

    Raises PhotoError if there is no photo, for all files at once that neither are photos nor belong beside them, for
    RAW files without a photo of their name, for a bad caption, and for a link that leads out of the folder.
    """
    if not folder.is_dir():
        raise PhotoError(f"photo folder '{folder}' is not there or is no folder: check its path{_why_none(folder)}")
    files = sorted(filter(_counts, folder.iterdir()), key=lambda path: path.name)
    masks, photos = _masks(_photos(files))
    rest = [path for path in files if path not in photos and path not in masks.values()]
    captions = [path for path in rest if is_caption_file(path.name)]
    beside = [path for path in rest if path not in captions and _belongs_beside(path, photos)]
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
    masks, photos = _masks(_photos(files))
    beside = [path for path in files if is_caption_file(path.name) or _belongs_beside(path, photos)]
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


def is_photo(path: Path) -> bool:
    """Whether a file is to be read as a photo, by the end of its name; where that is not known, by its first bytes."""
    suffix = path.suffix.casefold()
    if suffix in PHOTO_SUFFIXES:
        return True
    known = suffix in (*SIDECAR_SUFFIXES, *OF_A_PHOTO) or is_caption_file(path.name) or _is_about_all(path)
    if known or not path.is_file():
        # A link that leads nowhere is named as what it would be.
        return not known
    with path.open("rb") as stream:
        start = stream.read(12)
    return start.startswith(STARTS) or (start[4:8] == HEIF and start[8:12].startswith(HEIF_BRANDS))


def _photos(files: Sequence[Path]) -> list[Path]:
    """The photos among files, without backups and streams of other files."""
    whole = [path for path in files if is_photo(path)]
    return [path for path in whole if not _is_of_another(path, whole)]


def _is_of_another(path: Path, photos: Sequence[Path]) -> bool:
    """Whether a file's name is that of a photo, or of a system's file, with more behind its end: a backup
    (`a.jpg_original` of ExifTool, `a.jpg~`, `a.jpg.bak`) or a stream of NTFS (`a.jpg:Zone.Identifier`).
    """
    if path.suffix.casefold() in PHOTO_SUFFIXES or is_caption_file(path.name):
        return False
    if folded(path.name.partition(":")[0]) in OF_A_SYSTEM:
        return True
    return any(path.name.startswith(photo.name) for photo in photos if photo.name != path.name and photo.suffix)


def _masks(files: list[Path]) -> tuple[dict[Path, Path], list[Path]]:
    """({photo: its mask}, the photos) of pictures, without those beside a photo that are not trained on."""
    photos = [path for path in files if not path.stem.endswith((MASK, CONDITION))]
    by_stem = {folded(path.stem): path for path in photos}
    masks = {
        by_stem[stem]: path
        for path in files
        if path.stem.endswith(MASK) and (stem := folded(path.stem.removesuffix(MASK))) in by_stem
    }
    lonely = [path for path in files if path not in photos and folded(_without_label(path.stem)) not in by_stem]
    return masks, sorted([*photos, *lonely], key=lambda path: path.name)


def _without_label(stem: str) -> str:
    """The name of the photo that a mask or another label belongs to."""
    return stem.removesuffix(MASK).removesuffix(CONDITION)


def _of_several_pictures(photos: Sequence[Path]) -> Iterator[str]:
    """One sentence that names the files of several pictures, of each of which one is a photo."""
    if several := [path.name for path in photos if holds_several_pictures(path)]:
        yield f"of each animation or file of several pages one picture is used: {listed(several)}"


def _is_about_all(path: Path) -> bool:
    """Whether a file is a system's, or about the whole data set, by its name."""
    name = folded(path.name)
    return name in OF_A_SYSTEM or folded(path.stem) in WORDS


def _belongs_beside(path: Path, photos: list[Path]) -> bool:
    """Whether a file that is no photo is a known one beside these photos."""
    suffix = path.suffix.casefold()
    if suffix in SIDECAR_SUFFIXES or _is_about_all(path) or _is_of_another(path, photos):
        return True
    stem = folded(path.stem)
    if suffix in OF_A_PHOTO:
        return any(stem == folded(photo.stem) or stem.startswith(f"{folded(photo.stem)}_") for photo in photos)
    return path.stem.endswith(CONDITION)


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
