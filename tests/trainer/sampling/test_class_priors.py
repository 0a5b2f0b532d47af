"""Class priors on disk: reused when complete, completed when partial, never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.events import never
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors, draw_missing, picture_path
from dreambooth_nodes.trainer.sampling.prior_recipe import PriorsError, recipes_of, shared_out
from dreambooth_nodes.trainer.session.setup import encode_request

from ..conftest import SIDE, drawer, recipe


def test_a_complete_set_is_reused_and_a_partial_one_completed(base: Base, tmp_path: Path) -> None:
    drawn: list[int] = []
    first = draw_missing(recipe(base), 3, tmp_path, drawer(base, drawn), 2)
    whole = [file.read_bytes() for file in sorted(first.folder.glob("*.png"))]
    assert len(drawn) == len(whole) == 3
    draw_missing(recipe(base), 3, tmp_path, drawer(base, drawn), 2)
    assert len(drawn) == 3
    picture_path(first.folder, 1).unlink()
    draw_missing(recipe(base), 4, tmp_path, drawer(base, drawn), 2)
    assert len(drawn) == 5 and drawn[3] == drawn[1]
    assert picture_path(first.folder, 1).read_bytes() == whole[1]


@pytest.mark.parametrize(
    "change", [{"prompt": "a cat"}, {"seed": 1}, {"base_fingerprint": "0" * 64}, {"guidance": 5.0}]
)
def test_a_changed_recipe_never_meets_another_sets_files(base: Base, change: dict[str, object]) -> None:
    assert recipe(base).fingerprint != recipe(base, **change).fingerprint


def test_the_same_seed_draws_the_same_picture_in_any_batch(base: Base) -> None:
    together, alone = drawer(base)([5, 6]), drawer(base)([6])
    torch.testing.assert_close(together[1], alone[0], atol=2e-3, rtol=0)
    assert (together[0] - together[1]).abs().mean() > 0.01


def test_priors_of_another_base_class_or_size_are_refused(class_priors: ClassPriors, base: Base) -> None:
    own = [(SIDE, SIDE)]
    class_priors.require_match(base.fingerprint, {"dog": own})
    for name, call in {
        "base model": ("0" * 64, {"dog": own}),
        "class noun": (base.fingerprint, {"cat": own}),
        r"size is '64x64', this training's is '128x64'": (base.fingerprint, {"dog": [(128, SIDE)]}),
        r"size is '64x64', this training's is '64x128'": (base.fingerprint, {"dog": [(SIDE, 128)]}),
        r"size is '64x64', this training's is '56x72, 64x64'": (base.fingerprint, {"dog": [*own, (56, 72)]}),
    }.items():
        with pytest.raises(PriorsError, match=name):
            class_priors.require_match(*call)


def test_class_images_are_trained_on_under_the_prompt_they_were_drawn_with(
    base: Base, asked: Request, class_priors: ClassPriors
) -> None:
    said = replace(class_priors, recipe=recipe(base, prompt="a photo of a dog"))
    prompts, _, images = encode_request(base, replace(asked, priors=said), never)
    assert images is not None
    expected = base.encode_tokens(base.tokenize(["a photo of a dog"]))["context"]
    shown = prompts.rows(base, images.prompts)["context"]
    assert torch.equal(shown, expected.expand_as(shown))


@pytest.mark.parametrize(("change", "named"), [({"steps": 0}, "steps is 0"), ({"width": 70}, "70x64")])
def test_a_recipe_out_of_range_is_refused(base: Base, change: dict[str, object], named: str) -> None:
    with pytest.raises(PriorsError, match=named):
        recipe(base, **change)


def test_where_memory_runs_out_the_same_pictures_are_drawn_fewer_at_once(base: Base, tmp_path: Path) -> None:
    at_once: list[int] = []

    def draw(seeds: Sequence[int]) -> torch.Tensor:
        at_once.append(len(seeds))
        if len(seeds) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] not enough memory: you tried to allocate 64 GB")
        return drawer(base)(seeds)

    whole = draw_missing(recipe(base), 5, tmp_path / "whole", drawer(base), 2)
    pieces = draw_missing(recipe(base), 5, tmp_path / "pieces", draw, 5)
    assert at_once == [5, 2, 2, 1]
    for index in range(5):
        assert picture_path(pieces.folder, index).read_bytes() == picture_path(whole.folder, index).read_bytes()
    with pytest.raises(RuntimeError, match="not enough memory"):
        draw_missing(recipe(base, seed=1), 1, tmp_path, lambda seeds: draw([*seeds] * 3), 1)


def test_no_pictures_asked_for_is_refused(base: Base, tmp_path: Path) -> None:
    with pytest.raises(PriorsError, match="count is 0"):
        draw_missing(recipe(base), 0, tmp_path, drawer(base), 2)
    assert not list(tmp_path.iterdir())


@given(
    st.integers(1, 300),
    st.dictionaries(st.tuples(st.integers(4, 9), st.integers(4, 9)), st.integers(1, 40), min_size=1),
)
def test_class_images_are_shared_out_by_the_photos_of_each_size(count: int, sizes: dict[tuple[int, int], int]) -> None:
    shares, photos = shared_out(count, sizes), sum(sizes.values())
    assert shares.keys() == sizes.keys() and min(shares.values()) >= 1
    assert sum(shares.values()) >= count
    if min(count * own // photos for own in sizes.values()) >= 1:
        assert sum(shares.values()) == count
        assert all(abs(shares[size] - count * own / photos) < 1 for size, own in sizes.items())


def test_sets_of_several_sizes_are_one_whose_contents_differ_from_each(class_priors: ClassPriors) -> None:
    (same, three), (wide, one) = recipes_of(class_priors.recipe, 4, {(SIDE, SIDE): 3, (72, 56): 1})
    assert (same, three, one) == (class_priors.recipe, 3, 1) and (wide.width, wide.height) == (72, 56)
    other = ClassPriors(wide, class_priors.folder, 1)
    joined = ClassPriors.joined([class_priors, other])
    assert joined.total == class_priors.count + 1 and joined.sets == (class_priors, other)
    assert [photo.pixels.shape[1:] for photo in joined.photos(1)] == [(SIDE, SIDE), (56, 72)]
    assert joined.contents == [class_priors.contents, other.contents]
    assert ClassPriors.joined([class_priors]) == class_priors
    joined.require_match(class_priors.recipe.base_fingerprint, {"dog": {(72, 56): 1, (SIDE, SIDE): 3}})
    with pytest.raises(PriorsError, match="count is -1"):
        recipes_of(class_priors.recipe, -1, {(SIDE, SIDE): 1})
