"""The user's own pictures of the class: beside the drawn ones, or instead of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.trainer.events import never
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.sampling.prior_recipe import PriorsError
from dreambooth_nodes.trainer.session.setup import encode_request
from dreambooth_nodes.trainer.subject.own_class_images import OwnClassImages, own_class_images
from dreambooth_nodes.trainer.subject.raster import PhotoError

SQUARE, WIDE = (64, 64), (72, 56)
DOGS = {"dog": {SQUARE: 3, WIDE: 1}}


def put(file: Path, width: int = 90, height: int = 90) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((width, height), 60).convert("RGB").save(file)


def test_pictures_get_the_nearest_of_the_photos_sizes_and_no_caption_or_mask(tmp_path: Path) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png", 200, 90), put(tmp_path / "c.png", 50, 400)
    (tmp_path / "a.txt").write_text("a dog on grass")
    Image.new("RGBA", (80, 80), (200, 0, 0, 90)).save(tmp_path / "d.png")
    (own,) = own_class_images(tmp_path, DOGS)
    assert [tuple(photo.pixels.shape[:0:-1]) for photo in own.photos] == [SQUARE, WIDE, SQUARE, SQUARE]
    assert all(photo.caption is None and photo.mask is None for photo in own.photos)


def test_several_classes_are_a_folder_each(tmp_path: Path) -> None:
    for name in ("1_dog", "1_Red Car", "20_sks dog"):
        put(tmp_path / name / "a.png")
    found = own_class_images(tmp_path, {**DOGS, "red car": {SQUARE: 2}})
    assert {one.class_noun: len(one.photos) for one in found} == {"red car": 1, "dog": 2}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (("a.png",), r"in one folder, and the subjects are of several classes \(dog, cat\)"),
        (("1_dog/a.png", "1_horse/b.png"), "'1_horse' are of no subject's class, and these are cat, dog"),
        (("dog/a.png",), "do not begin with a number: dog"),
        ((), "holds no photo"),
    ],
)
def test_pictures_of_no_class_are_refused(files: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    for name in files:
        put(tmp_path / name)
    with pytest.raises(PhotoError, match=complaint):
        own_class_images(tmp_path, {"dog": {SQUARE: 1}, "cat": {SQUARE: 1}})


@pytest.mark.parametrize("drawn", [0, 3])
def test_they_are_trained_on_beside_or_instead_of_drawn_ones_under_their_prompt(
    drawn: int, base: Base, asked: Request, class_priors: ClassPriors, tmp_path: Path
) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    own = own_class_images(tmp_path, {"dog": {SQUARE: 5}})
    priors = replace(class_priors, count=drawn, own=own)
    request = replace(asked, priors=priors)
    prompts, _, images = encode_request(base, request, never)
    assert images is not None and len(images) == priors.total == drawn + 2
    shown, plain = prompts.rows(base, images.prompts)["context"], base.encode_prompts(["a dog"])["context"]
    assert torch.equal(shown, plain.expand_as(shown))
    expected = base.encode_images(own[0].photos[0].pixels.unsqueeze(0)).mean[0]
    torch.testing.assert_close(images.mean[drawn], expected)
    keys = {one.key(base.fingerprint) for one in (request, asked, replace(asked, priors=None))}
    assert len(keys) == 3


def test_names_and_order_do_not_change_the_key_and_other_pictures_do(tmp_path: Path, class_priors: ClassPriors) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    (one,) = own_class_images(tmp_path, DOGS)
    (tmp_path / "a.png").rename(tmp_path / "z.png")
    (same,) = own_class_images(tmp_path, DOGS)
    put(tmp_path / "z.png")
    (other,) = own_class_images(tmp_path, DOGS)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    contents = [replace(class_priors, own=(each,)).contents for each in (one, same, other)]
    assert contents[0] == contents[1] != contents[2]


def test_own_pictures_of_another_class_are_refused(base: Base, class_priors: ClassPriors) -> None:
    with pytest.raises(PriorsError, match="pictures of cat, which no subject is"):
        replace(class_priors, own=(OwnClassImages("cat", ()),)).require_match(base.fingerprint, {"dog": [SQUARE]})
