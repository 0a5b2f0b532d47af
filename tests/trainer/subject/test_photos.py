"""Photos: cropping, masks, and what a host hands over as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from dreambooth_nodes.trainer.subject.photos import Photo, PhotoError, photos_from_tensors, read_folder, read_photo

SIDE = 64


def picture(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """A picture without any symmetry: red grows to the right, green downwards, blue marks a corner."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    corner = ((across < 64) & (down < 64)) * 200
    return Image.fromarray(np.stack([across, down, corner], axis=2).astype(np.uint8))


def saved(image: Image.Image, path: Path, **settings: object) -> Path:
    image.save(path, **settings)
    return path


sides = st.integers(4, 25).map(lambda n: 8 * n)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), sides, sides, st.integers(0, 255))
def test_any_size_is_cropped_to_any_size_and_plain_colour_stays_plain(
    w: int, h: int, to_w: int, to_h: int, grey: int
) -> None:
    (photo,) = photos_from_tensors(torch.full((h, w, 3), grey / 255), None, to_w, to_h)
    assert photo.pixels.shape == (3, to_h, to_w)
    assert torch.allclose(photo.pixels, torch.tensor(grey / 255), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 200), st.integers(8, 200), sides, sides)
def test_the_crop_is_central(w: int, h: int, to_w: int, to_h: int) -> None:
    image = torch.rand(h, w, 3, generator=torch.Generator().manual_seed(0))
    plain, turned = photos_from_tensors([image, image.flip(0, 1)], None, to_w, to_h)
    assert torch.allclose(plain.pixels, turned.pixels.flip(1, 2), atol=1e-4)


@pytest.mark.parametrize("size", [(400, 160), (160, 400)])
def test_a_circle_stays_a_circle(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("L", size)
    x, y = size[0] / 2, size[1] / 2
    ImageDraw.Draw(image).ellipse((x - 60, y - 60, x + 60, y + 60), fill=255)
    inside = read_photo(saved(image, tmp_path / "a.png"), SIDE, SIDE).pixels[0] > 0.5
    across, down = inside.any(0).sum().item(), inside.any(1).sum().item()
    assert abs(across - 48) <= 1 and abs(down - 48) <= 1


def test_downscaling_averages_what_it_leaves_out() -> None:
    checks = (torch.arange(512)[:, None] + torch.arange(512)) % 2
    (photo,) = photos_from_tensors(checks.float()[..., None].expand(-1, -1, 3), None, SIDE, SIDE)
    assert torch.allclose(photo.pixels[:, 4:-4, 4:-4], torch.tensor(0.5), atol=0.01)


def test_the_mask_is_cropped_as_the_photo_is() -> None:
    mask = torch.zeros(150, 260)
    mask[30:100, 90:170] = 1
    (photo,) = photos_from_tensors(mask[..., None].expand(-1, -1, 3), mask, 96, SIDE)
    assert photo.mask is not None and photo.mask.shape == (SIDE, 96)
    assert ((photo.pixels[0] > 0.5) == (photo.mask > 0.5)).float().mean() > 0.995


def test_a_tensor_and_a_file_of_one_picture_give_one_photo(tmp_path: Path) -> None:
    image = picture(90, 130).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((90, 130)))
    from_file = read_photo(saved(image, tmp_path / "a.png"), SIDE, 48)
    (from_tensor,) = photos_from_tensors(torch.from_numpy(np.array(image)) / 255, None, SIDE, 48)
    assert torch.allclose(from_file.pixels, from_tensor.pixels, atol=1e-6)
    assert from_file.mask is not None and from_tensor.mask is not None
    assert torch.allclose(from_file.mask, from_tensor.mask, atol=1e-6)


def test_batches_lists_and_single_images_are_the_same() -> None:
    batch, masks = torch.rand(3, 40, 50, 3), torch.rand(3, 40, 50)

    def read(images: object, weights: object) -> list[bytes]:
        return [photo.digest for photo in photos_from_tensors(images, weights, 32, 32)]  # type: ignore[arg-type]

    assert read(batch, masks) == read(list(batch), list(masks))
    assert read(batch, masks) == read([batch[:1], batch[1], batch[2:]], [masks[0], masks[1:]])


def test_photos_made_under_inference_mode_can_be_trained_on(tmp_path: Path) -> None:
    path = saved(picture().convert("LA"), tmp_path / "a.png")
    with torch.inference_mode():
        photos = [read_photo(path, SIDE, SIDE), *photos_from_tensors(torch.rand(40, 40, 3), torch.rand(40, 40), 32, 32)]
    for photo in photos:
        assert not photo.pixels.is_inference()
        assert photo.mask is None or not photo.mask.is_inference()


def test_photos_share_no_memory_with_the_hosts_tensors() -> None:
    image, mask = torch.rand(32, 32, 3), torch.rand(32, 32)
    (photo,) = photos_from_tensors(image, mask, 32, 32)
    before = photo.digest
    image.zero_(), mask.zero_()
    assert Photo(photo.name, photo.pixels, photo.mask, photo.caption).digest == before


RGB = torch.rand(2, 40, 40, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("images", "masks", "complaint"),
    [
        ([], None, "no image"),
        (RGB.where(RGB < 0.999, torch.nan), None, "image . holds values that are not finite"),
        (RGB * 255, None, r"values from .* expected 0\.\.1"),
        (RGB * 2 - 1, None, r"values from .* expected 0\.\.1"),
        ((RGB * 255).byte(), None, "uint8"),
        (RGB[..., :2], None, r"shape \[40, 40, 2\]: expected"),
        (RGB[0, 0], None, "dimensions"),
        (RGB[:, :0], None, "empty"),
        (RGB, torch.zeros(2, 40, 40), "mask 1 is zero everywhere"),
        (RGB, torch.zeros(1, 64, 64), "mask 1 is zero everywhere.*leave masks out"),
        (RGB, torch.ones(1, 40, 40), "1 masks for 2 images"),
        (RGB, torch.ones(2, 40, 41), "mask 1 is 41 x 40, its image 40 x 40"),
        (RGB, torch.full((2, 40, 40), torch.nan), "mask 1 holds values that are not finite"),
    ],
)  # fmt: skip
def test_unusable_tensors_are_refused_with_the_reason(images: object, masks: object, complaint: str) -> None:
    with pytest.raises(PhotoError, match=complaint):
        photos_from_tensors(images, masks, SIDE, SIDE)  # type: ignore[arg-type]


def test_a_mask_outside_the_crop_is_refused() -> None:
    mask = torch.zeros(40, 200)
    mask[:, :20] = 1
    with pytest.raises(PhotoError, match="image 1 is zero everywhere in the centre crop to 64 x 64"):
        photos_from_tensors(torch.rand(40, 200, 3), mask, SIDE, SIDE)


@pytest.mark.parametrize("size", [(0, 64), (24, 64), (64, 100), (-64, 64)])
def test_sizes_that_cannot_be_trained_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = saved(picture(), tmp_path / "a.png")
    for read in (lambda: read_photo(path, *size), lambda: read_folder(tmp_path, *size)):
        with pytest.raises(ValueError, match="multiple of 8"):
            read()


def test_a_hosts_captions_go_with_its_images_on_one_line() -> None:
    photos = photos_from_tensors(RGB, torch.ones(2, 40, 40), SIDE, SIDE, captions=["a dog\n on grass ", "asleep"])
    assert [photo.caption for photo in photos] == ["a dog on grass", "asleep"]


@pytest.mark.parametrize(
    ("captions", "complaint"),
    [
        (["a dog"], "1 captions for 2 images: give one for each"),
        (["a dog"] * 3, "3 captions for 2 images"),
        ([], "0 captions for 2 images"),
        (["a dog", " \n"], "caption 2 is empty"),
        (["", "a dog"], "caption 1 is empty"),
        (["a dog", "x" * 10_001], "caption 2 is 10,001 bytes long"),
    ],
)
def test_captions_that_do_not_go_with_the_images_are_refused(
    captions: list[str], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(PhotoError, match=complaint):
        photos_from_tensors(RGB, None, SIDE, SIDE, captions=captions)
    for name in ("a.png", "b.png"):
        saved(picture(), tmp_path / name)
    with pytest.raises(PhotoError, match=complaint):
        read_folder(tmp_path, SIDE, SIDE, captions=captions)


def test_a_hosts_captions_and_masks_go_before_those_beside_a_folders_photos(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        saved(picture(), tmp_path / name)
    (tmp_path / "a.txt").write_text("beside the photo")
    height, width = picture().height, picture().width
    masks = torch.ones(2, height, width)
    masks[1, :, : width // 2] = 0
    photos = read_folder(tmp_path, SIDE, SIDE, masks=masks, captions=["of a", "of b"])
    assert [(photo.name, photo.caption) for photo in photos] == [("a.png", "of a"), ("b.png", "of b")]
    assert photos[0].mask is None and photos[1].mask is not None and float(photos[1].mask[:, 0].max()) == 0
    with pytest.raises(PhotoError, match="1 masks for 2 images"):
        read_folder(tmp_path, SIDE, SIDE, masks=masks[:1])
    with pytest.raises(PhotoError, match=f"mask 1 is {width - 1} x {height}, its image {width} x {height}"):
        read_folder(tmp_path, SIDE, SIDE, masks=masks[:, :, 1:])
