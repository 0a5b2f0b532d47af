"""The subject and its prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.prompts import PromptTemplates
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject

SIDE = 32
PROMPTS = PromptTemplates()


def photo(seed: int, name: str = "a.png") -> Photo:
    noise = torch.Generator().manual_seed(seed)
    return Photo(
        name, torch.rand(3, SIDE, SIDE, generator=noise), torch.rand(SIDE, SIDE, generator=noise), "in the grass"
    )


def subject(photos: Sequence[Photo] = (photo(1), photo(2)), class_noun: str = "dog") -> Subject:
    return Subject(tuple(photos), class_noun, SIDE, SIDE)


def test_renaming_and_reordering_photos_keep_the_fingerprint_and_the_training_order() -> None:
    renamed = subject([photo(2, "a.png"), photo(1, "b.png")])
    assert renamed.fingerprint == subject().fingerprint
    assert [p.digest for p in renamed.in_training_order] == [p.digest for p in subject().in_training_order]


@pytest.mark.parametrize("part", ["pixels", "mask"])
def test_one_changed_value_changes_the_fingerprint(part: str) -> None:
    changed = getattr(photo(2), part).clone()
    changed.view(-1)[7] += 1e-3
    assert subject([photo(1), replace(photo(2), **{part: changed})]).fingerprint != subject().fingerprint


def test_mask_caption_noun_count_and_size_are_part_of_the_fingerprint() -> None:
    one = replace(photo(1), mask=None, caption=None)
    large = Photo("a.png", torch.zeros(3, 32, 64), None, None)
    subjects = [
        subject(),
        subject([photo(1)]),
        subject([photo(1), photo(1)]),
        subject(class_noun="cat"),
        subject([one]),
        subject([replace(one, mask=torch.ones(SIDE, SIDE))]),
        subject([replace(one, caption="in the grass")]),
        Subject((large,), "dog", 64, 32),
        Subject((replace(large, pixels=torch.zeros(3, 64, 32)),), "dog", 32, 64),
    ]
    assert len({each.fingerprint for each in subjects}) == len(subjects)


@pytest.mark.parametrize("noun", ["", "   ", "\n"])
def test_no_class_noun_is_refused_with_the_papers_figures(noun: str) -> None:
    with pytest.raises(ValueError, match=r"no class noun.*0\.744.*0\.454.*0\.303"):
        subject(class_noun=noun)


@pytest.mark.parametrize(
    ("noun", "complaint"),
    [
        ("dog\ncat", "one line"),
        ("d" * 101, "101 characters"),
        ("dog\x00", "control"),
        ("[V] dog", "name the kind alone"),
    ],
)
def test_an_unusable_class_noun_is_refused(noun: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        subject(class_noun=noun)


def test_spaces_around_the_class_noun_are_nobodys_wish() -> None:
    assert subject(class_noun=" dog ").class_noun == "dog"
    assert subject(class_noun=" dog ").fingerprint == subject().fingerprint


def test_a_subject_needs_photos_of_its_own_size() -> None:
    with pytest.raises(ValueError, match="no photo"):
        subject([])
    with pytest.raises(ValueError, match=r"'a\.png' has the shape \[3, 32, 32\]"):
        Subject((photo(1),), "dog", 64, 32)
    with pytest.raises(ValueError, match="multiple of 8"):
        Subject((photo(1),), "dog", 33, 32)


def test_prompts_of_the_paper() -> None:
    assert PROMPTS.instance_prompt("olt", "dog") == "a olt dog"
    assert PROMPTS.class_prompt("dog") == "a dog"
    assert PROMPTS.trigger("olt", "dog") == "olt dog"


@pytest.mark.parametrize(
    ("caption", "prompt"),
    [
        ("playing on grass", "a olt dog, playing on grass"),
        ("an Olt dog on grass", "an Olt dog on grass"),
        ("photo of [V] {class} on grass", "photo of olt dog on grass"),
        ("a {class} on grass", "a olt dog, a dog on grass"),
        ("colt dogs on grass", "a olt dog, colt dogs on grass"),
        ("", "a olt dog"),
        (None, "a olt dog"),
    ],
)
def test_a_caption_names_the_subject_once(caption: str | None, prompt: str) -> None:
    assert PROMPTS.instance_prompt("olt", "dog", caption) == prompt


def test_a_caption_that_holds_the_whole_template_is_left_alone() -> None:
    style = PromptTemplates(instance="a {class} in [V] style")
    assert style.instance_prompt("olt", "house", "a house in olt style, at night") == "a house in olt style, at night"


words = st.text("abcdefgh", min_size=1, max_size=6)


@given(words, words, st.one_of(st.none(), st.text("abcdefgh ,", max_size=30)))
def test_every_instance_prompt_holds_the_trigger_and_no_class_prompt_holds_the_identifier(
    identifier: str, noun: str, caption: str | None
) -> None:
    if identifier == noun:
        with pytest.raises(ValueError, match="holds the identifier"):
            PROMPTS.instance_prompt(identifier, noun, caption)
        return
    assert PROMPTS.trigger(identifier, noun) in PROMPTS.instance_prompt(identifier, noun, caption)
    assert identifier == "a" or identifier not in PROMPTS.class_prompt(noun).split()


@pytest.mark.parametrize("noun", ["olt dog", "Olt", "dog (olt)"])
def test_a_class_noun_that_holds_the_identifier_is_refused(noun: str) -> None:
    with pytest.raises(ValueError, match="holds the identifier 'olt'"):
        PROMPTS.instance_prompt("olt", noun)


@pytest.mark.parametrize("identifier", ["", " ", "a\nb", "x" * 101])
def test_an_unusable_identifier_is_refused(identifier: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        PROMPTS.trigger(identifier, "dog")


@pytest.mark.parametrize(
    ("templates", "complaint"),
    [
        ({"instance": "a {class}"}, r"instance prompt 'a \{class\}' lacks \[V\]"),
        ({"instance": "a [V] dog"}, r"lacks \{class\}"),
        ({"class_": "a dog"}, r"class prompt 'a dog' lacks \{class\}"),
        ({"class_": "a [V] {class}"}, r"class prompt .* holds \[V\]"),
    ],
)
def test_templates_are_checked_where_they_are_made(templates: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        PromptTemplates(**templates)
