"""Aspect-ratio buckets: the sizes that there are, and which one a photo gets."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.photos import photos_from_tensors, read_folder
from dreambooth_nodes.trainer.subject.subject import Subject

SIDES = st.integers(128 // 8, 1536 // 8).map(lambda eighths: eighths * 8)


@settings(max_examples=50, deadline=None)
@given(SIDES, st.integers(16, 6000), st.integers(16, 6000))
def test_a_photo_gets_the_nearest_shape_of_about_as_many_pixels(side: int, width: int, height: int) -> None:
    size = TrainingSize(side, side, buckets=True)
    own = size.nearest(width, height)
    step = min(64, max(8, side // 8 // 8 * 8))
    assert own in size.sizes and min(own) >= max(64, side / 2) and max(own) <= side * 2
    assert all(each % 8 == 0 for each in own)
    assert side * side - max(own) * step - min(own) * step < own[0] * own[1] <= side * side
    assert {(h, w) for w, h in size.sizes} == set(size.sizes)
    wanted = math.log(width / height)
    assert all(abs(math.log(own[0] / own[1]) - wanted) <= abs(math.log(w / h) - wanted) for w, h in size.sizes)


@pytest.mark.parametrize("side", [128, 136, 512, 520, 1024])
def test_a_square_photo_gets_the_square(side: int) -> None:
    assert TrainingSize(side, side, buckets=True).nearest(777, 777) == (side, side)


@pytest.mark.parametrize(
    ("photo", "size"), [((4032, 3024), (576, 448)), ((3024, 4032), (448, 576)), ((1920, 1080), (640, 384))]
)
def test_the_usual_photos_at_512(photo: tuple[int, int], size: tuple[int, int]) -> None:
    assert TrainingSize(512, 512, buckets=True).nearest(*photo) == size


def test_without_buckets_there_is_one_size_also_for_panoramas() -> None:
    assert TrainingSize(64, 96).nearest(4000, 100) == (64, 96) and TrainingSize(64, 96).sizes == ((64, 96),)


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (64, 64, "too few for buckets: their narrowest would have a side of 32 pixels, and 64 is the least"),
        (112, 112, "64 is the least"),
        (40, 40, "a side of 24 pixels"),
        (130, 128, "130"),
    ],
)
def test_a_size_whose_buckets_are_too_small_is_refused(width: int, height: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainingSize(width, height, buckets=True)


def put(folder: Path, **sizes: tuple[int, int]) -> Path:
    for number, (name, size) in enumerate(sizes.items()):
        Image.linear_gradient("L").rotate(40 * number).resize(size).save(folder / f"{name}.png")
    return folder


def test_square_photos_are_the_same_subject_with_and_without_buckets(tmp_path: Path) -> None:
    put(tmp_path, a=(256, 256), b=(300, 300))
    plain, sorted_in = (Subject(read_folder(tmp_path, 128, 128, on), "dog", 128, 128, on) for on in (False, True))
    assert plain.fingerprint == sorted_in.fingerprint and sorted_in.sizes == {(128, 128): 2}
    for one, other in zip(plain.photos, sorted_in.photos, strict=True):
        assert torch.equal(one.pixels, other.pixels) and one.digest == other.digest


def test_photos_keep_their_shapes_and_the_model_is_told_them(tmp_path: Path) -> None:
    put(tmp_path, a=(400, 300), b=(300, 400), c=(360, 300), d=(400, 302))
    subject = Subject(read_folder(tmp_path, 128, 128, buckets=True), "dog", 128, 128, buckets=True)
    assert subject.sizes == {(144, 112): 3, (112, 144): 1} and subject.largest_size in subject.sizes
    wide = subject.photos[0]
    assert wide.crop_frame.numbers == (300, 400, 0, 3, 112, 144)
    with pytest.raises(ValueError, match="into its buckets"):
        Subject(subject.photos, "dog", 128, 128)


def test_photos_of_several_sizes_are_scored_at_one(tmp_path: Path) -> None:
    put(tmp_path, a=(400, 300), b=(300, 400), c=(256, 256))
    subject = Subject(read_folder(tmp_path, 128, 128, buckets=True), "dog", 128, 128, buckets=True)
    scored = subject.at_one_size()
    assert scored.shape == (3, 3, 128, 128) and scored.min() >= 0 and scored.max() <= 1
    names = [photo.name for photo in subject.in_training_order]
    square = read_folder(tmp_path, 128, 128)
    cropped = torch.stack([next(photo.pixels for photo in square if photo.name == name) for name in names])
    # The shapes of buckets are those of the photos up to half a step, so the centre is nearly that of a crop.
    assert (scored - cropped).abs().mean() < 0.02
    assert torch.equal(scored[names.index("c.png")], cropped[names.index("c.png")])


def test_pictures_of_a_graph_go_into_buckets_with_their_masks() -> None:
    images = [torch.rand(300, 400, 3), torch.rand(1, 256, 256, 3)]
    masks = [torch.ones(300, 400), torch.ones(1, 256, 256)]
    masks[0][:, :200] = 0
    wide, square = photos_from_tensors(images, masks, 128, 128, buckets=True)
    assert wide.pixels.shape == (3, 112, 144) and square.pixels.shape == (3, 128, 128)
    assert wide.mask is not None and wide.mask.shape == (112, 144) and wide.mask[:, :68].max() == 0
