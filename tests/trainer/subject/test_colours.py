"""A file says something about its own numbers, and is read so: profiles, gamma, bits, and what means white."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from dreambooth_nodes.tests.trainer.subject import icc
from dreambooth_nodes.trainer.subject.decoding import decode
from dreambooth_nodes.trainer.subject.photos import PhotoError, read_photo
from dreambooth_nodes.trainer.subject.raster import Raster

SIDE = 64
Pixels = NDArray[np.uint8]


def colours() -> Pixels:
    """Soft colours, which every space here can hold: [64, 64, 3] in sRGB."""
    across, down = np.meshgrid(np.linspace(60, 190, SIDE), np.linspace(60, 190, SIDE))
    return np.stack([across, down, 250 - across], axis=2).astype(np.uint8)


def levels(raster: Raster) -> NDArray[np.float64]:
    """[H, W, 3] in 0..255."""
    return np.stack(raster.bands, -1).astype(np.float64) * (255 / raster.peak)


def error(raster: Raster, wanted: Pixels) -> float:
    """Mean absolute difference in levels of 255."""
    return float(np.abs(levels(raster) - wanted).mean())


@pytest.mark.parametrize("kind", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB", "ProPhoto"])
def test_a_profiles_colours_become_srgb(space: str, kind: str, tmp_path: Path) -> None:
    stored = Image.fromarray(icc.from_srgb(colours(), space))
    lossless = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(kind, {})
    stored.save(tmp_path / f"a.{kind}", icc_profile=icc.profile(space), **lossless)
    assert error(decode(tmp_path / f"a.{kind}"), colours()) < 1.5
    # As it would be without: the numbers are other ones.
    assert np.abs(np.asarray(stored).astype(int) - colours()).mean() > 2.5


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_a_profile_counts_beside_transparency_and_in_palettes(mode: str, tmp_path: Path) -> None:
    colour = np.full((SIDE, SIDE, 3), (120, 150, 90), np.uint8)
    stored = Image.fromarray(icc.from_srgb(colour, "Adobe RGB"))
    stored = stored.quantize() if mode == "P" else stored.convert(mode)
    wanted = colour
    if mode == "LA":
        grey = np.full((SIDE, SIDE), 120, np.uint8)
        stored = Image.merge("LA", (Image.fromarray(grey), Image.new("L", (SIDE, SIDE), 200)))
        wanted = np.repeat(np.round(icc.encoded((grey / 255) ** 1.0, "sRGB") * 255)[..., None], 3, 2).astype(np.uint8)
    data = icc.grey_profile(1.0) if mode == "LA" else icc.profile("Adobe RGB")
    stored.save(tmp_path / "a.png", icc_profile=data)
    found = decode(tmp_path / "a.png")
    assert error(found, wanted) < 2.5 and (found.alpha is None) is (mode == "P")


@pytest.mark.parametrize(
    "profile", [icc.profile("sRGB"), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_srgb_itself_changes_no_number(profile: bytes, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", icc_profile=profile)
    assert error(decode(tmp_path / "a.png"), noise) == 0


@pytest.mark.parametrize("bits", [8, 16])
def test_a_grey_profile_counts(bits: int, tmp_path: Path) -> None:
    linear = np.repeat(np.linspace(0.1, 0.9, SIDE)[None], SIDE, 0)
    stored = (linear * (2**bits - 1)).round().astype(np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png", icc_profile=icc.grey_profile(1.0))
    wanted = np.repeat(icc.encoded(linear, "sRGB")[..., None] * 255, 3, 2)
    assert np.abs(levels(decode(tmp_path / "a.png")) - wanted).mean() < 0.6


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", b"no profile"),
        ("RGB", icc.profile("Display P3")[:200]),
        ("RGB", icc.grey_profile(1.0)),
        ("CMYK", icc.profile("Display P3")),
        ("L", b""),
    ],
)
def test_a_profile_that_cannot_be_used_is_said_and_the_picture_is_read(
    mode: str, profile: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = Image.fromarray(colours()).convert(mode)
    image.save(tmp_path / "a.tif", icc_profile=profile)
    with caplog.at_level(logging.WARNING):
        found = decode(tmp_path / "a.tif")
    assert error(found, np.asarray(image.convert("RGB"))) == 0
    assert ("a.tif" in caplog.text and "colour profile" in caplog.text) is bool(profile)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(pixels: Pixels, path: Path, *chunks: bytes) -> Path:
    """A PNG with chunks of its own before the pixels."""
    Image.fromarray(pixels).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return path


def gamma_chunk(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def points_chunk(name: str) -> bytes:
    white, points, _ = icc.SPACES[name]
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in (*white, *points))))


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 0.25])
def test_pngs_gamma_counts(gamma: float, tmp_path: Path) -> None:
    light = icc.decoded(colours() / 255, "sRGB")
    stored = np.round(light**gamma * 255).astype(np.uint8)
    assert error(decode(png_with(stored, tmp_path / "a.png", gamma_chunk(gamma))), colours()) < 1.0


def test_pngs_primaries_count_and_what_it_says_of_srgb_goes_first(tmp_path: Path) -> None:
    stored = icc.from_srgb(colours(), "Adobe RGB")
    chunks = (points_chunk("Adobe RGB"), gamma_chunk(1 / 2.19921875))
    assert error(decode(png_with(stored, tmp_path / "a.png", *chunks)), colours()) < 1.0
    srgb = chunk(b"sRGB", b"\0")
    assert error(decode(png_with(stored, tmp_path / "b.png", srgb, *chunks)), stored) == 0
    usual = (points_chunk("sRGB"), gamma_chunk(0.45455))
    assert error(decode(png_with(stored, tmp_path / "c.png", *usual)), stored) == 0


def coded_chunk(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def test_the_numbers_that_name_a_space_count_before_a_profile(tmp_path: Path) -> None:
    """Of a Mac's screenshot: Display P3's points, sRGB's curve."""
    light = icc.decoded(colours() / 255, "sRGB") @ (np.linalg.inv(icc.to_xyz("Display P3")) @ icc.to_xyz("sRGB")).T
    stored = np.round(icc.encoded(light, "sRGB") * 255).astype(np.uint8)
    file = png_with(stored, tmp_path / "a.png", coded_chunk(12, 13), gamma_chunk(1.0))
    assert np.abs(stored.astype(int) - colours()).mean() > 2.5 and error(decode(file), colours()) < 1.0
    linear = np.round(icc.decoded(colours() / 255, "sRGB") * 255).astype(np.uint8)
    assert error(decode(png_with(linear, tmp_path / "b.png", coded_chunk(1, 8))), colours()) < 1.5
    for same in ((1, 13), (2, 2), (1, 1), (200, 13)):
        assert error(decode(png_with(stored, tmp_path / "c.png", coded_chunk(*same))), stored) == 0


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_refused_by_name(transfer: int, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"a\.png.*HDR.*ordinary"):
        decode(png_with(colours(), tmp_path / "a.png", coded_chunk(9, transfer)))


@pytest.mark.parametrize("fields", [{0xA001: 2}, {0xA001: 0xFFFF, 0xA005: {1: "R03"}}])
def test_a_cameras_adobe_rgb_without_a_profile_counts(fields: dict[int, object], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = fields
    stored = Image.fromarray(icc.from_srgb(colours(), "Adobe RGB"))
    stored.save(tmp_path / "a.png", exif=exif)
    assert error(decode(tmp_path / "a.png"), colours()) < 1.0


def tiff(values: NDArray[np.generic], path: Path, **tags: int) -> Path:
    """A TIFF of one band, uncompressed, with numbers as they are. tags: t262=0 for one more tag."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    fields = {
        256: values.shape[1], 257: values.shape[0], 258: values.dtype.itemsize * 8, 259: 1, 262: 1, 273: 0, 277: 1,
        278: values.shape[0], 279: values.nbytes, 339: kind, **{int(name[1:]): value for name, value in tags.items()},
    }  # fmt: skip
    fields[273] = 8 + 2 + 12 * len(fields) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, fields[tag]) for tag in sorted(fields))
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + data)
    return path


RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
DEEP = {
    "32 bits that hold 8": (np.uint32, 255, {}),
    "signed 32 bits that hold 8": (np.int32, 255, {}),
    "32 bits that hold 16": (np.uint32, 65535, {}),
    "32 bits, all of them": (np.uint32, 2**32 - 1, {}),
    "signed 32 bits, all of them": (np.int32, 2**31 - 1, {}),
    "32 bits that say 12": (np.uint32, 4095, {"t281": 4095}),
    "16 bits": (np.uint16, 65535, {}),
    "signed 16 bits": (np.int16, 32767, {}),
    "floating point": (np.float32, 1, {}),
    "8 bits": (np.uint8, 255, {}),
}


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("kind", DEEP)
def test_numbers_of_every_depth_are_scaled_by_what_they_hold(kind: str, white_is_zero: bool, tmp_path: Path) -> None:
    dtype, largest, tags = DEEP[kind]
    stored = (RAMP * largest).astype(dtype)
    file = tiff(stored, tmp_path / "a.tif", **tags, **({"t262": 0} if white_is_zero else {}))
    wanted = (1 - RAMP if white_is_zero else RAMP) * 255
    try:
        found = decode(file)
    except PhotoError as refused:
        assert white_is_zero and "a.tif" in str(refused)
        return
    assert np.abs(levels(found)[..., 0] - wanted).max() <= 1.0


@settings(max_examples=20)
@given(st.integers(0, 65535))
def test_a_dark_picture_of_16_bits_stays_dark(tmp_path_factory: pytest.TempPathFactory, value: int) -> None:
    file = tmp_path_factory.getbasetemp() / "dark.png"
    Image.fromarray(np.full((SIDE, SIDE), value, np.uint16)).save(file)
    assert np.allclose(levels(decode(file)), value / 65535 * 255, atol=1e-3)


@pytest.mark.parametrize("values", [np.full((8, 8), -1, np.int32), np.full((8, 8), 3.0, np.float32)])
def test_numbers_that_mean_nothing_here_are_refused(values: NDArray[np.generic], tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"a\.tif.*outside 0\.\.1*"):
        read_photo(tiff(values, tmp_path / "a.tif"), SIDE, SIDE)


def test_pillow_reads_the_tiffs_of_these_tests(tmp_path: Path) -> None:
    with Image.open(tiff((RAMP * 255).astype(np.uint8), tmp_path / "a.tif")) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        assert np.array_equal(np.asarray(image), (RAMP * 255).astype(np.uint8))
