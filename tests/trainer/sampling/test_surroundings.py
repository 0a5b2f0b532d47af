"""Photos with other surroundings: the subject is kept, the rest is drawn once, and only that is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.trainer.events import Event, PriorsCounted
from dreambooth_nodes.trainer.prompts import PromptTemplates
from dreambooth_nodes.trainer.sampling.class_priors import Draw
from dreambooth_nodes.trainer.sampling.prior_recipe import PriorRecipe
from dreambooth_nodes.trainer.sampling.surroundings import SurroundingsError, SurroundingsRecipe, vary_surroundings
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject

SIDE = 32
PLACES = ("on the grass", "in a kitchen", "by a lake")
COMMON = PriorRecipe(
    base_fingerprint="0" * 64, class_noun="", prompt="", sampler="euler", steps=2, guidance=5.0, width=SIDE,
    height=SIDE, seed=0,
)  # fmt: skip


def photo(number: int) -> Photo:
    """A photo of random pixels, whose left half is the subject's."""
    mask = torch.zeros(SIDE, SIDE)
    mask[:, : SIDE // 2] = 1
    pixels = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(number))
    return Photo(f"{number}.png", pixels, mask, "in the hall")


def subject(*photos: Photo) -> Subject:
    return Subject(photos or (photo(1), photo(2)), "dog", SIDE, SIDE)


@dataclass
class Drawn:
    """Draws random pictures, and keeps what was asked for. at_most: it then fails, as where a user cancels."""

    at_most: int = 1000
    prompts: list[str] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    def around(self, of: Photo, recipe: SurroundingsRecipe) -> Draw:
        def draw(seeds: Sequence[int]) -> Tensor:
            if len(self.prompts) == self.at_most:
                raise InterruptedError
            self.prompts.append(recipe.prompt)
            shape = (3, recipe.height, recipe.width)
            return torch.stack([torch.rand(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

        return draw

    def vary(self, of: Subject, root: Path, count: int = 2, places: Sequence[str] = PLACES, seed: int = 0) -> Subject:
        prompt = PromptTemplates().class_prompt
        return vary_surroundings(
            of, replace(COMMON, seed=seed), prompt, places, count, root, self.around, self.told.append
        )


def test_the_subject_s_pixels_are_the_photo_s_and_all_else_is_drawn(tmp_path: Path) -> None:
    before, half = subject(), SIDE // 2
    after = Drawn().vary(before, tmp_path)
    assert len(after.redrawn) == 4 and len({one.digest for one in after.redrawn}) == 4
    for number, one in enumerate(after.redrawn):
        own = before.photos[number // 2]
        assert torch.equal(one.pixels[..., :half], own.pixels[..., :half])
        assert (one.pixels[..., half:] - own.pixels[..., half:]).abs().mean() > 0.1
        assert one.mask is own.mask and one.caption is None


def test_they_are_trained_on_in_the_photos_place_and_scores_see_the_photos(tmp_path: Path) -> None:
    before = subject()
    after = Drawn().vary(before, tmp_path)
    assert {one.digest for one in after.in_training_order} == {one.digest for one in after.redrawn}
    assert after.all_photos == before.photos and torch.equal(after.at_one_size(), before.at_one_size())
    others = Drawn().vary(before, tmp_path, seed=1)
    assert len({before.fingerprint, after.fingerprint, others.fingerprint}) == 3


def test_only_what_is_missing_is_drawn_and_a_cancelled_run_goes_on(tmp_path: Path) -> None:
    whole, stopped, rest, more = Drawn(), Drawn(at_most=3), Drawn(), Drawn()
    expected = whole.vary(subject(), tmp_path / "whole")
    with pytest.raises(InterruptedError):
        stopped.vary(subject(), tmp_path / "stopped")
    assert rest.vary(subject(), tmp_path / "stopped").fingerprint == expected.fingerprint
    assert stopped.prompts + rest.prompts == whole.prompts
    assert rest.told[-1] == PriorsCounted(4, 3, 1)
    larger = more.vary(subject(photo(1), photo(2), photo(3)), tmp_path / "whole", count=3)
    assert len(more.prompts) == 2 + 3 and more.told[-1] == PriorsCounted(9, 4, 5)
    kept = {one.digest for one in larger.redrawn}
    assert {one.digest for one in expected.redrawn} < kept


def test_every_photo_is_shown_at_every_place_in_turn(tmp_path: Path) -> None:
    drawn = Drawn()
    drawn.vary(subject(), tmp_path, count=len(PLACES))
    expected = sorted(f"a dog {place}" for place in PLACES)
    assert sorted(drawn.prompts[:3]) == sorted(drawn.prompts[3:]) == expected


def test_another_mask_or_seed_draws_anew(tmp_path: Path) -> None:
    drawn = Drawn()
    drawn.vary(subject(photo(1)), tmp_path, count=1)
    assert photo(1).mask is not None
    drawn.vary(subject(replace(photo(1), mask=1 - photo(1).mask)), tmp_path, count=1)
    drawn.vary(subject(photo(1)), tmp_path, count=1, seed=1)
    assert len(drawn.prompts) == 3
    drawn.vary(subject(replace(photo(1), caption="elsewhere")), tmp_path, count=1)
    assert len(drawn.prompts) == 3


def test_several_subjects_are_each_drawn_by_their_class(tmp_path: Path) -> None:
    drawn, cat = Drawn(), Subject((photo(3),), "cat", SIDE, SIDE, identifier="mdt")
    both = Subject.joined([replace(subject(photo(1)), identifier="olt"), cat])
    after = drawn.vary(both, tmp_path, count=1, places=["outside"])
    assert drawn.prompts == ["a dog outside", "a cat outside"]
    assert [len(one.redrawn) for one in after.each] == [1, 1] and len(after.in_training_order) == 2


@pytest.mark.parametrize(
    ("of", "arguments", "told"),
    [
        (subject(replace(photo(1), mask=None)), {}, "photo '1.png' has no mask"),
        (subject(replace(photo(1), mask=torch.ones(SIDE, SIDE))), {}, "covers all of it"),
        (subject(), {"places": []}, "one on each line"),
        (subject(), {"count": 0}, "count is 0"),
        (subject(), {"count": 101}, "count is 101"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(
    of: Subject, arguments: dict[str, object], told: str, tmp_path: Path
) -> None:
    drawn = Drawn()
    with pytest.raises(SurroundingsError, match=told):
        drawn.vary(of, tmp_path, **arguments)  # type: ignore[arg-type]
    assert not drawn.prompts and not list(tmp_path.iterdir())
