"""Image files: every mode, turn and container that photos come in, and what is refused."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from dreambooth_nodes.trainer.subject.photos import PhotoError, read_folder, read_photo

SIDE = 64
LEVEL = 1 / 255


def picture(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """A picture without any symmetry: red grows to the right, green downwards, blue marks a corner."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    corner = ((across < 64) & (down < 64)) * 200
    return Image.fromarray(np.stack([across, down, corner], axis=2).astype(np.uint8))


def saved(image: Image.Image, path: Path, **settings: object) -> Path:
    image.save(path, **settings)
    return path


def pixels_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).movedim(2, 0) / 255


def test_a_photo_of_the_training_size_keeps_every_pixel(tmp_path: Path) -> None:
    photo = read_photo(saved(picture(), tmp_path / "a.png"), SIDE, SIDE)
    assert torch.equal(photo.pixels, pixels_of(picture()))
    assert (photo.name, photo.mask, photo.caption) == ("a.png", None, None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    turns = Image.Transpose
    stored_as = {
        1: None,
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }[orientation]
    stored = picture() if stored_as is None else picture().transpose(stored_as)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(saved(stored, tmp_path / "a.png", exif=exif), SIDE, SIDE)
    assert torch.equal(photo.pixels, pixels_of(picture()))


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
    photo = read_photo(saved(Image.fromarray(ramp), tmp_path / "a.png"), SIDE, SIDE)
    for band in photo.pixels:
        assert torch.allclose(band, torch.from_numpy(ramp / np.float32(65535)), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_colour_modes_look_as_pillow_shows_them(tmp_path: Path, mode: str) -> None:
    image = picture().convert(mode)
    photo = read_photo(saved(image, tmp_path / "a.tif"), SIDE, SIDE)
    assert torch.allclose(photo.pixels, pixels_of(image), atol=2 * LEVEL)
    assert photo.mask is None


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    red = Image.new("RGB", (SIDE, SIDE), (200, 30, 40)).convert("CMYK")
    photo = read_photo(saved(red, tmp_path / "a.jpg", quality=95), SIDE, SIDE)
    assert torch.allclose(photo.pixels.mean((1, 2)), torch.tensor([200, 30, 40]) / 255, atol=4 * LEVEL)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparency_becomes_the_mask_over_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (SIDE, SIDE), (10, 10, 10, 255))
    image.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    extra = {}
    if mode == "P":
        image = Image.fromarray(np.repeat([[0] * 32 + [1] * 32], SIDE, 0).astype(np.uint8), "L")
        image.putpalette([0, 0, 0, 10, 10, 10])
        extra = {"transparency": 0}
    elif mode == "RGB":
        image, extra = image.convert("RGB"), {"transparency": (0, 0, 0)}
    else:
        image = image.convert(mode)
    photo = read_photo(saved(image, tmp_path / "a.png", **extra), SIDE, SIDE)
    assert photo.mask is not None
    assert photo.mask[:, :32].eq(0).all() and photo.mask[:, 32:].eq(1).all()
    assert photo.pixels[:, :, :32].eq(1).all()
    assert torch.allclose(photo.pixels[:, :, 32:], torch.tensor(10 / 255))


def test_hidden_colours_do_not_bleed_into_the_subject(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4 * SIDE, 4 * SIDE), (255, 0, 0, 0))
    image.paste((255, 255, 255, 255), (SIDE, SIDE, 3 * SIDE, 3 * SIDE))
    photo = read_photo(saved(image, tmp_path / "a.png"), SIDE, SIDE)
    assert torch.allclose(photo.pixels, torch.ones(3, SIDE, SIDE), atol=1e-5)


def test_opaque_alpha_is_no_mask(tmp_path: Path) -> None:
    photo = read_photo(saved(picture(96, 96).convert("RGBA"), tmp_path / "a.png"), SIDE, SIDE)
    assert photo.mask is None


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    path = saved(frames[0], tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:])
    red, green, blue = read_photo(path, SIDE, SIDE).pixels.mean((1, 2))
    assert red > 0.9 and green < 0.1 and blue < 0.1


def test_heic_is_read_with_its_optional_package(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(picture()).save(tmp_path / "a.heic", quality=-1)
    photo = read_photo(tmp_path / "a.heic", SIDE, SIDE)
    assert (photo.pixels - pixels_of(picture())).abs().mean() < 4 * LEVEL
    assert "HEIF" not in Image.OPEN


def test_heic_without_its_package_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"a\.heic.*pip install pillow-heif"):
        read_photo(path, SIDE, SIDE)


def needs_writer(kind: str) -> None:
    if f".{kind}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow writes no {kind}")


@pytest.mark.parametrize("lenient", [False, True], ids=["pillow strict", "pillow told to accept"])
@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "webp", "bmp", "tga", "avif"])
def test_a_truncated_photo_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, lenient: bool
) -> None:
    needs_writer(kind)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    path = saved(noise, tmp_path / f"photo.{kind}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(PhotoError, match=rf"photo\.{kind}"):
        read_photo(path, SIDE, SIDE)
    assert lenient is ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "webp", "bmp", "tga", "tif", "ppm", "avif"])
@pytest.mark.parametrize("side", [1, 33, 64, 400])
def test_a_whole_photo_is_accepted_however_pillow_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, side: int
) -> None:
    needs_writer(kind)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    noise = Image.fromarray(np.random.default_rng(side).integers(0, 255, (side, side, 3), np.uint8))
    photo = read_photo(saved(noise, tmp_path / f"photo.{kind}"), SIDE, SIDE)
    assert photo.pixels.shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("limit", [None, 10**12, 89_478_485])
def test_a_decompression_bomb_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    path = saved(picture(), tmp_path / "bomb.png")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(PhotoError, match=r"bomb\.png.*too large.*scale it down"):
        read_photo(path, SIDE, SIDE)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4 a document",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
    ],
    ids=["empty", "document", "postscript", "png start", "jpeg start"],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PhotoError, match=r"a\.png"):
        read_folder(tmp_path, SIDE, SIDE)


@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"RIFF"]),
)
def test_broken_files_raise_nothing_but_photo_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.png"
    path.write_bytes(start + data)
    with pytest.raises(PhotoError, match=r"broken\.png"):
        read_photo(path, SIDE, SIDE)


def test_a_fully_transparent_photo_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(Image.new("RGBA", (SIDE, SIDE)), tmp_path / "ghost.png")
    with pytest.raises(PhotoError, match=r"ghost\.png"):
        read_photo(path, SIDE, SIDE)
