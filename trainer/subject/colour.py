"""The colours of an image in sRGB, by what its file says of its own numbers: an ICC profile, PNG's gamma, Exif."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Points = tuple[float | None, Sequence[float]]
"""Gamma, None for sRGB's own curve, and x and y of white, red, green and blue."""
SPACES = {"RGB": ("RGB",), "GRAY": ("L", "LA", "La", "1"), "CMYK": ("CMYK",), "Lab": ("LAB",)}
"""{colour space of a profile: Pillow's modes of images that it can be meant for}; RGB is also for grey and palettes."""
NOT_RGB = {"CMYK", "LAB", "HSV"}
"""The modes whose numbers no RGB profile is meant for."""
SAME = 1
"""The difference in levels of 255 up to which a profile is sRGB itself: then no number is changed."""
SRGB_GAMMA = 1 / 2.2
"""PNG's gamma of files in sRGB."""
GAMMA_SLACK = 0.01
SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue (CIE 1931) in sRGB."""
ADOBE_RGB = (256 / 563, (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))
"""Gamma and points of Adobe RGB (1998)."""
CODED_POINTS = {
    1: SRGB_POINTS,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""{number of primaries by ITU-T H.273: points}: BT.709 and sRGB, BT.2020, DCI-P3, Display P3."""
CODED_GAMMAS = {1: None, 4: 1 / 2.2, 5: 1 / 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
"""{number of a transfer function by ITU-T H.273: gamma}; None: sRGB's own curve, by which BT.709's is shown too."""
CODED = "cicp"
"""The key of an image's `info` for both numbers: (primaries, transfer function)."""
UNSAID = 2
"""The number that says nothing."""
COLOR_SPACE, INTEROPERABILITY, EXIF = 0xA001, 0xA005, 0x8769
"""Exif's tags that tell Adobe RGB, and of the directory that the first two are in."""


def in_srgb(image: Image.Image, name: str) -> Image.Image:
    """The colours of a decoded 8-bit image of any mode as an RGB image in sRGB; alpha is not composed.

    name: in log messages. An image whose file says nothing of its numbers is in sRGB. A profile that is damaged or of
    another colour space than the image is passed over, which is logged.
    """
    said = _coded_points(image)
    profile = None if said else _profile(image, name)
    if profile is not None:
        return _converted(image, profile)
    rgb, said = _as_rgb(image), said or _points(image)
    return rgb if said is None else Image.fromarray(_by_points(np.asarray(rgb), *said))


def grey_in_srgb(values: Floats, image: Image.Image, name: str) -> Floats:
    """Grey values [H, W] in 0..1 of more than 8 bits, converted to sRGB's by the image's profile, if it has one."""
    profile = _profile(image, name, "L")
    if profile is None:
        return values
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.asarray(_converted(ramp, profile).getchannel("G"), dtype=np.float32)[0] / 255
    # Below one level, that is below the profile's own accuracy here, nothing is changed.
    if np.abs(levels * 255 - np.arange(256)).max() <= SAME:
        return values
    return np.interp(values, np.linspace(0, 1, 256), levels).astype(np.float32)


def _as_rgb(image: Image.Image) -> Image.Image:
    """The image in Pillow's mode RGB, without its profile."""
    if image.mode == "LAB":
        return _converted(image, ImageCms.createProfile("LAB"))
    return image.convert("RGB")


def _profile(image: Image.Image, name: str, mode: str = "") -> Any:
    """The image's ICC profile, if it has one that fits its mode; else None. mode: in place of the image's."""
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = _space(profile)
        mode = mode or image.mode
        if mode in SPACES.get(space, ()) or (space == "RGB" and mode not in NOT_RGB):
            _converted(Image.new(mode if mode in ("L", "CMYK", "LAB") else "RGB", (1, 1)), profile)
            return profile
        said = f"it is for {space}, and the picture is {mode}"
    # LittleCMS fails in ways of its own on damaged profiles, and Pillow passes them on as they are.
    except Exception as error:
        said = str(error)
    log.warning("%s: its colour profile cannot be used (%s), so its numbers are taken to be sRGB", name, said)
    return None


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    """The image as RGB in sRGB, from the colours of a profile that fits its mode."""
    source = image if image.mode in ("CMYK", "LAB") else image.convert("L" if _space(profile) == "GRAY" else "RGB")
    transform = ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), source.mode, "RGB", ImageCms.Intent.PERCEPTUAL
    )
    if source.mode == "RGB" and _is_srgb(transform):
        return source
    converted = ImageCms.applyTransform(source, transform)
    assert converted is not None
    return converted


def _space(profile: Any) -> str:
    """The colour space that a profile is for: RGB, GRAY, CMYK, Lab or another."""
    return str(getattr(profile, "profile", profile).xcolor_space).strip()


def _is_srgb(transform: Any) -> bool:
    """Whether a transform of RGB images changes no colour of a lattice by more than SAME."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
    return int(np.abs(changed.astype(int) - lattice.astype(int)).max()) <= SAME


def is_hdr(image: Image.Image) -> bool:
    """Whether an image's file names a transfer function that is none of CODED_GAMMAS: PQ, HLG and others."""
    _, transfer = image.info.get(CODED) or (UNSAID, UNSAID)
    return transfer not in (*CODED_GAMMAS, UNSAID)


def _coded_points(image: Image.Image) -> Points | None:
    """Gamma and points by the numbers that the file names; None where it names none, or sRGB's."""
    primaries, transfer = image.info.get(CODED) or (UNSAID, UNSAID)
    if image.mode in NOT_RGB or primaries not in CODED_POINTS or transfer not in CODED_GAMMAS:
        return None
    found = CODED_GAMMAS[transfer], CODED_POINTS[primaries]
    return None if found == (None, SRGB_POINTS) else found


def _points(image: Image.Image) -> Points | None:
    """Gamma and points of an image without a profile, where its file tells others than sRGB's; else None."""
    if "srgb" in image.info or image.mode in NOT_RGB:
        return None
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if not gamma:
        return ADOBE_RGB if _says_adobe_rgb(image) else None
    usual = abs(gamma - SRGB_GAMMA) <= GAMMA_SLACK
    if points is None or len(points) != len(SRGB_POINTS) or not _is_triangle(points):
        points = SRGB_POINTS
    if usual and np.allclose(points, SRGB_POINTS, atol=0.002):
        return None
    return gamma, points


def _is_triangle(points: Sequence[float]) -> bool:
    """Whether four points of colours are usable: no y is zero, and the three primaries are apart."""
    if any(y <= 0 for y in points[1::2]):
        return False
    return abs(float(np.linalg.det(_primaries(points)))) > 1e-6


def _says_adobe_rgb(image: Image.Image) -> bool:
    """Whether Exif tells Adobe RGB, as cameras do in files without a profile."""
    try:
        exif = image.getexif()
        own = exif.get_ifd(EXIF)
        space = own.get(COLOR_SPACE)
        index = exif.get_ifd(INTEROPERABILITY).get(1) if INTEROPERABILITY in own else None
    # Exif is a by-product: where it cannot be read, the picture still can.
    except Exception as error:
        log.warning("Exif cannot be read: %s", error)
        return False
    return space == 2 or (space == 0xFFFF and str(index).strip("\0 ").endswith("R03"))


def _by_points(pixels: NDArray[np.uint8], gamma: float | None, points: Sequence[float]) -> NDArray[np.uint8]:
    """RGB pixels [H, W, 3] of this gamma (None: sRGB's curve) and these points, in sRGB."""
    values = np.arange(256, dtype=np.float32) / 255
    if gamma is None:
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** np.float32(2.4))
    else:
        light = values ** np.float32(1 / gamma)
    to_srgb = (np.linalg.inv(_to_xyz(SRGB_POINTS)) @ _to_xyz(points)).astype(np.float32)
    linear = np.clip(light[pixels] @ to_srgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** np.float32(1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.round(encoded * 255).astype(np.uint8)
    return levels


def _primaries(points: Sequence[float]) -> NDArray[np.float64]:
    """[3, 3]: XYZ of red, green and blue in columns, each with Y = 1."""
    return np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in zip(points[2::2], points[3::2], strict=True)]).T


def _to_xyz(points: Sequence[float]) -> NDArray[np.float64]:
    """[3, 3]: from linear RGB of these points to XYZ, by which white has Y = 1."""
    primaries = _primaries(points)
    x, y = points[:2]
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    return primaries * np.linalg.solve(primaries, white)
