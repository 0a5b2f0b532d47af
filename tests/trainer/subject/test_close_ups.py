"""Close-ups: part of a large photo at the full resolution, where the subject is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.close_ups import MOST, close_ups_of_folder, close_ups_of_tensors
from dreambooth_nodes.trainer.subject.photo_folder import sorted_folder
from dreambooth_nodes.trainer.subject.photos import Photo, read_folder
from dreambooth_nodes.trainer.subject.subject import Subject

SIZE = TrainingSize(64, 64)


def ramp(width: int, height: int) -> torch.Tensor:
    """[H, W, 3]: red is the place across in 0..1, green down."""
    across, down = torch.meshgrid(torch.arange(width) / width, torch.arange(height) / height, indexing="xy")
    return torch.stack([across, down, torch.zeros_like(across)], 2)


def of(image: torch.Tensor, count: int = MOST, mask: torch.Tensor | None = None, **more: object) -> tuple[Photo, ...]:
    return close_ups_of_tensors([image], None if mask is None else [mask], SIZE, count, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "height"), [(256, 256), (400, 256), (128, 300), (128, 128)])
def test_a_close_up_shows_half_of_the_crops_side_and_is_never_enlarged(width: int, height: int) -> None:
    crop, photos = min(width, height), of(ramp(width, height))
    assert len(photos) == MOST
    for photo in photos:
        assert photo.pixels.shape == (3, 64, 64) and photo.caption == "close-up"
        for band, side in ((photo.pixels[0], width), (photo.pixels[1], height)):
            # From the middle of the first pixel to that of the last.
            shown = float(band.max() - band.min()) * side
            assert shown == pytest.approx(crop / 2 * 63 / 64, abs=0.02 * crop)
        inside = (side / 2 - crop / 2 for side in (width, height))
        for band, side, low in zip(photo.pixels, (width, height), inside, strict=False):
            assert float(band.min()) * side >= low - 1 and float(band.max()) * side <= low + crop + 1
        # Numbers for SDXL: the crop's corner in pixels of the photo that was reduced to twice the training size.
        assert photo.frame is not None and photo.frame.original == (height, width)
        scale = crop / 2 / 64
        corner = (float(photo.pixels[1].min()) * height / scale, float(photo.pixels[0].min()) * width / scale)
        assert photo.frame.top_left == pytest.approx(corner, abs=2)


@pytest.mark.parametrize(("width", "height"), [(127, 300), (300, 127), (64, 64)])
def test_a_photo_below_twice_the_size_has_none(width: int, height: int) -> None:
    assert of(ramp(width, height)) == ()


def test_they_lie_where_the_mask_is(tmp_path: Path) -> None:
    mask = torch.zeros(512, 512)
    mask[400:440, 60:100] = 1
    photos = of(ramp(512, 512), mask=mask)
    for photo in photos:
        assert photo.mask is not None and float(photo.mask.sum()) > 60
        assert abs(float(photo.pixels[0].mean()) * 512 - 128) < 6 and abs(float(photo.pixels[1].mean()) * 512 - 384) < 6
    clear = np.zeros((512, 512, 4), np.uint8)
    clear[400:440, 60:100] = 255
    Image.fromarray(clear).save(tmp_path / "a.png")
    (first, *_) = close_ups_of_folder(sorted_folder(tmp_path), SIZE, 1)
    assert first.mask is not None and float(first.mask.sum()) > 60


def test_the_mirrored_frame_is_that_of_the_mirrored_photo() -> None:
    image, mask = ramp(512, 512), torch.zeros(512, 512)
    mask[100, 90] = 1
    (one,) = of(image, 1, mask)
    (other,) = of(image.flip(1), 1, mask.flip(1))
    assert one.frame != other.frame and one.mirrored().frame is not None
    assert one.mirrored().crop_frame.top_left == pytest.approx(other.crop_frame.top_left, abs=1)


def test_captions_say_so_and_the_same_photo_has_the_same_close_ups() -> None:
    image = ramp(256, 256)
    first, again = (of(image, 2, captions=["a dog on grass"]) for _ in range(2))
    assert [photo.caption for photo in first] == ["a dog on grass, close-up"] * 2
    assert [photo.digest for photo in first] == [photo.digest for photo in again]
    assert first[0].digest != first[1].digest


def test_a_subject_is_shown_with_them_and_judged_without(tmp_path: Path) -> None:
    for number in range(2):
        Image.effect_noise((200, 180), 60).convert("RGB").save(tmp_path / f"{number}.png")
    photos, close = read_folder(tmp_path, 64, 64), close_ups_of_folder(sorted_folder(tmp_path), SIZE, 2)
    plain, whole = Subject(photos, "dog", 64, 64), Subject(photos, "dog", 64, 64, close_ups=close)
    assert len(whole.in_training_order) == 6 and len(whole.all_photos) == 2
    assert whole.sizes == plain.sizes and torch.equal(whole.at_one_size(), plain.at_one_size())
    assert whole.fingerprint != plain.fingerprint


@pytest.mark.parametrize("count", [-1, MOST + 1])
def test_a_number_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"close_ups is {count}"):
        of(ramp(256, 256), count)
    assert of(ramp(256, 256), 0) == ()
