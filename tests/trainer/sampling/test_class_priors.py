"""Class priors on disk: reused when complete, completed when partial, never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.events import never
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors, PriorsError, draw_missing, picture_path
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
    class_priors.require_match(base.fingerprint, "dog", SIDE, SIDE)
    for name, call in {
        "base model": ("0" * 64, "dog", SIDE, SIDE),
        "class noun": (base.fingerprint, "cat", SIDE, SIDE),
        "width": (base.fingerprint, "dog", 128, SIDE),
        "height": (base.fingerprint, "dog", SIDE, 128),
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
