"""The prompts that photos are shown under: captions with tags in many orders, with the name put in, or dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import DEATH, NewBase, other, same_weights, stopped_after
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.shown_prompts import ORDERS, ShownPrompts
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject

TAGS = "sitting, grass, red ball, outdoors, sunny"


def photo(number: int, caption: str | None) -> Photo:
    return Photo(f"{number}.png", torch.full((3, 64, 64), number / 100), None, caption)


def asked(*captions: str | None, noun: str = "dog", **options: Any) -> ShownPrompts:
    photos = tuple(photo(number, caption) for number, caption in enumerate(captions))
    return ShownPrompts(
        Request(subject=Subject(photos, noun, 64, 64), identifier="olt", options=TrainOptions(**options), name="dog")
    )


def only(shown: ShownPrompts) -> list[str]:
    ((variants,),) = shown.of_photos
    return variants


def test_a_photo_without_options_has_one_prompt_and_nothing_is_drawn() -> None:
    shown = asked(TAGS, None, prior="off")
    assert sorted(shown.distinct) == ["a olt dog", f"a olt dog, {TAGS}"] and shown.variants is None


def test_tags_change_places_and_the_first_ones_stay_behind_the_name() -> None:
    orders = only(asked(TAGS, shuffle_tags=True, keep_tags=2))
    assert len(orders) == ORDERS and len(set(orders)) > 3
    for text in orders:
        name, *tags = text.split(", ")
        assert name == "a olt dog" and tags[:2] == ["sitting", "grass"] and sorted(tags) == sorted(TAGS.split(", "))


def test_every_tag_is_as_often_in_every_place() -> None:
    captions = [f"{TAGS}, photo {number}" for number in range(40)]
    counted: Counter[tuple[str, int]] = Counter()
    for (variants,) in asked(*captions, shuffle_tags=True).of_photos:
        counted.update((tag, place) for text in variants for place, tag in enumerate(text.split(", ")[1:]))
    wanted = 40 * ORDERS / 6
    chi_square = sum((counted[tag, place] - wanted) ** 2 / wanted for tag in TAGS.split(", ") for place in range(6))
    # 30 cells of which 20 are free: above 45 once in a thousand seeds.
    assert chi_square < 45


def test_orders_follow_the_seed_and_photos_have_orders_of_their_own() -> None:
    first, second = asked(TAGS, f"{TAGS}", shuffle_tags=True).of_photos
    assert first != second
    assert only(asked(TAGS, shuffle_tags=True)) == only(asked(TAGS, shuffle_tags=True))
    assert only(asked(TAGS, shuffle_tags=True)) != only(asked(TAGS, shuffle_tags=True, seed=1))


def test_a_learned_word_stands_in_every_order() -> None:
    (prompts,) = asked(TAGS, shuffle_tags=True, method="textual_inversion").of_photos
    assert len(prompts) == 26 and all(len(set(variants)) > 3 for variants in prompts)
    assert all("olt, " in text for variants in prompts for text in variants)


@pytest.mark.parametrize(
    ("trigger", "caption", "prompt"),
    [
        ("before the caption", "sitting, grass", "a olt dog, sitting, grass"),
        ("as the first tag", "sitting, grass", "olt dog, sitting, grass"),
        ("for the class noun", "a brown Dog next to a dogsled", "a brown olt dog next to a dogsled"),
        ("for the class noun", "a dog and a dog", "a olt dog and a dog"),
        ("for the class noun", "sitting, grass", "a olt dog, sitting, grass"),
        ("not at all", "sitting, grass", "sitting, grass"),
        *(
            (trigger, "an olt dog, grass", "an olt dog, grass")
            for trigger in ("as the first tag", "for the class noun")
        ),
        *((trigger, None, "a olt dog") for trigger in ("as the first tag", "for the class noun", "not at all")),
    ],
)
def test_the_name_is_put_where_it_is_asked_for_and_never_twice(trigger: str, caption: str | None, prompt: str) -> None:
    assert only(asked(caption, caption_trigger=trigger)) == [prompt]


def test_a_dropped_prompt_is_the_empty_one() -> None:
    shown = asked(TAGS, None, caption_dropout=0.2, prior="off")
    assert shown.variants is not None and shown.variants.dropout == 0.2
    assert shown.distinct[shown.variants.empty] == "" and len(shown.distinct) == 3


@pytest.mark.parametrize(
    "caption",
    ["a dog on the left", "a Sign behind it", 'it says "hello"', "犬と文字", "turned to the RIGHT", "a clock"],
)
def test_a_photo_whose_caption_names_a_side_or_a_text_is_not_mirrored(caption: str) -> None:
    shown = asked(caption, "a copyright-free lawn, leftovers", None, flip=True)
    assert {one.caption for one in shown.flipped} == {"a copyright-free lawn, leftovers", None}
    assert any("0.png" in text for text in shown.warnings())
    assert not asked(caption, None).flipped and not list(asked(caption, None).warnings())


def test_nothing_is_mirrored_where_the_noun_is_one_of_writing() -> None:
    assert not asked("grass", None, noun="road sign", flip=True).flipped


@pytest.mark.parametrize("captions", [(None,), ("one long sentence",), ("a, b", "c, d")])
def test_orders_that_change_nothing_are_said_to(captions: tuple[str | None, ...]) -> None:
    keeps = {"keep_tags": 1} if captions[0] == "a, b" else {}
    assert any(
        "shuffle_tags is on and changes nothing" in w for w in asked(*captions, shuffle_tags=True, **keeps).warnings()
    )
    assert not list(asked("a, b, c", shuffle_tags=True, **keeps).warnings())


@pytest.mark.parametrize(
    "options",
    [
        {"keep_tags": 2},
        {"caption_dropout": 1.5},
        {"caption_dropout": 0.1, "method": "textual_inversion"},
        {"caption_trigger": "not at all", "method": "textual_inversion"},
        {"caption_trigger": "somewhere"},
        {"multires_noise_levels": 11},
        {"noise_offset": -0.1},
    ],
)
def test_what_cannot_be_is_refused_by_name_and_value(options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(OptionError, match=f"{name} is {value!r}"):
        TrainOptions(**options)


def test_a_stopped_run_draws_on_as_if_it_had_not_stopped(new_base: NewBase, asked: Request, store: Store) -> None:
    photos = tuple(replace(one, caption=TAGS) for one in asked.subject.photos)
    drawn = {"shuffle_tags": True, "caption_dropout": 0.3, "flip": True, "noise_offset": 0.1}
    options = replace(asked.options, **drawn, multires_noise_levels=3)
    request = replace(asked, subject=replace(asked.subject, photos=photos), options=options)
    whole, _ = personalize(new_base(), request, other(store, "straight"))
    stopped, _ = personalize(new_base(), request, store, *stopped_after(DEATH))
    finished, run = personalize(new_base(), request, store)
    assert stopped.steps == DEATH and same_weights(finished.file, whole.file)
    assert run.record["settings"]["flip"] is True and not same_weights(stopped.file, whole.file)
