"""Drawings: SVG icons of five vendors, rendered once to RGBA textures.

Get the vendors' packages with `npm pack @iconify-json/noto @iconify-json/fluent-emoji
@iconify-json/fluent-emoji-flat @iconify-json/twemoji @iconify-json/emojione` and name the folder
that holds the .tgz files.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .palette import NOUNS, SUBJECTS, VENDORS, training_drawings

TEXTURE = 160
"""Side of a stored texture in pixels; the drawing touches its borders."""

_SKIP = re.compile(r"flag|skin-tone|-tone|light-|dark-|keycap|letter|button|clock-|face-|person|man|woman|sign")


@dataclass(frozen=True)
class Icons:
    """Textures of the world's drawings, and of many other icons for the VAE to see.

    world: uint8 [N, 160, 160, 4], in the order of palette.training_drawings(); held_out: the same for the
    subjects, in the order of SUBJECTS; others: uint8 [M, 160, 160, 4]; classes: int [N + M], what each of the
    world's drawings and then of the others shows (name_classes).
    """

    world: np.ndarray
    held_out: np.ndarray
    others: np.ndarray
    classes: np.ndarray


def load_icons(packages: Path, cache: Path) -> Icons:
    """The textures, from `cache` if it exists, else rendered from the vendors' packages and stored there."""
    if not cache.exists():
        textures = _render_all(packages)
        temporary = cache.with_suffix(".tmp.npz")
        np.savez_compressed(temporary, allow_pickle=False, **textures)
        temporary.replace(cache)
    stored = np.load(cache)
    return Icons(stored["world"], stored["held_out"], stored["others"], stored["classes"])


def _render_all(packages: Path) -> dict[str, np.ndarray]:
    packs = {vendor: read_pack(packages, vendor) for vendor in VENDORS}
    world = [render_icon(packs[vendor], icon) for _, vendor, icon in training_drawings()]
    subjects = [render_icon(packs[vendor], icon) for _, vendor, icon in SUBJECTS.values()]
    others = []
    for vendor in VENDORS:
        others += [render_icon(packs[vendor], name) for name in other_names(packs[vendor], vendor)]
    textures = {"world": world, "held_out": subjects, "others": others}
    return {name: np.stack(rows) for name, rows in textures.items()} | {"classes": name_classes(packs)}


def other_names(pack: dict[str, Any], vendor: str) -> list[str]:
    """The vendor's icons in `Icons.others`, in their order: every sixth one that fits, no held-out subject."""
    held_out = {icon for _, whose, icon in SUBJECTS.values() if whose == vendor}
    return sorted(name for name in pack["icons"] if not _SKIP.search(name) and name not in held_out)[::6]


def name_classes(packs: dict[str, dict[str, Any]]) -> np.ndarray:
    """What each training drawing, then each other icon, shows: a number per noun or icon name, [N + M]."""
    drawings = training_drawings()
    known = {(vendor, icon): noun for noun, vendor, icon in drawings}
    doubtful = {icon for _, _, icon in drawings}
    others = []
    for vendor in VENDORS:
        # a drawing that was judged not to look like its noun is a class of its own
        others += [
            known.get((vendor, name), f"{vendor}:{name}" if name in doubtful else f":{name}")
            for name in other_names(packs[vendor], vendor)
        ]
    numbers = {noun: index for index, noun in enumerate(NOUNS)}
    return np.array([numbers.setdefault(name, len(numbers)) for name in [*(noun for noun, _, _ in drawings), *others]])


def read_pack(packages: Path, vendor: str) -> dict[str, Any]:
    """Raises FileNotFoundError with the command that fetches the package."""
    found = sorted(packages.glob(f"iconify-json-{vendor}-[0-9]*.tgz"))
    if not found:
        raise FileNotFoundError(
            f"no iconify-json-{vendor}-*.tgz in {packages}: run `npm pack @iconify-json/{vendor}` there"
        )
    with tarfile.open(found[-1]) as archive:
        member = archive.extractfile("package/icons.json")
        if member is None:
            raise FileNotFoundError(f"{found[-1]} holds no package/icons.json")
        return dict(json.load(member))


def render_icon(pack: dict[str, Any], name: str) -> np.ndarray:
    """uint8 [160, 160, 4]: the icon cropped to what it draws, centred, its longer side touching the borders."""
    import resvg_py

    if name not in pack["icons"]:
        name = pack["aliases"][name]["parent"]
    icon = pack["icons"][name]
    width, height = icon.get("width", pack.get("width", 16)), icon.get("height", pack.get("height", 16))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="{box}">{icon["body"]}</svg>'
    )
    drawn = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=2 * TEXTURE, height=2 * TEXTURE))))
    return _fit(drawn.convert("RGBA"))


def _fit(drawn: Image.Image) -> np.ndarray:
    drawn = drawn.crop(drawn.getchannel("A").point(lambda a: 255 * (a > 16)).getbbox() or (0, 0, 1, 1))
    scale = TEXTURE / max(drawn.size)
    size = (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale)))
    canvas = Image.new("RGBA", (TEXTURE, TEXTURE))
    canvas.paste(drawn.resize(size, Image.Resampling.LANCZOS), ((TEXTURE - size[0]) // 2, (TEXTURE - size[1]) // 2))
    return np.asarray(canvas)
