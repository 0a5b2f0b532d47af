"""What a file in a folder of photos is, by its name and first bytes: a photo, a mask, or one that belongs beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .captions import folded, is_caption_file
from .raw_files import RAW_SUFFIXES

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


def photos_of(files: Sequence[Path]) -> list[Path]:
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


def masks_of(files: list[Path]) -> tuple[dict[Path, Path], list[Path]]:
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


def _is_about_all(path: Path) -> bool:
    """Whether a file is a system's, or about the whole data set, by its name."""
    name = folded(path.name)
    return name in OF_A_SYSTEM or folded(path.stem) in WORDS


def belongs_beside(path: Path, photos: list[Path]) -> bool:
    """Whether a file that is no photo is a known one beside these photos."""
    suffix = path.suffix.casefold()
    if suffix in SIDECAR_SUFFIXES or _is_about_all(path) or _is_of_another(path, photos):
        return True
    stem = folded(path.stem)
    if suffix in OF_A_PHOTO:
        return any(stem == folded(photo.stem) or stem.startswith(f"{folded(photo.stem)}_") for photo in photos)
    return path.stem.endswith(CONDITION)
