"""What a predictor of the embedded base learns from: subjects, each in several scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dreambooth_nodes.toybase.drawing_objective import CENTRED, centred
from dreambooth_nodes.toybase.icons import TEXTURE, Icons
from dreambooth_nodes.toybase.narrow_vae import BASE, new_vae
from dreambooth_nodes.toybase.palette import ADJECTIVES, COLOURS, NOUNS, SUBJECTS, THING, training_drawings
from dreambooth_nodes.toybase.predicted_words import ToyPrompts, ids_with_word
from dreambooth_nodes.toybase.predictor_gain import wrong_photos
from dreambooth_nodes.toybase.scene_pairs import STEPS_OF_CHUNK, ScenePairs
from dreambooth_nodes.toybase.subject_scenes import PHOTOS, PICTURES, SubjectScenes
from dreambooth_nodes.toybase.text_encoder import short_context, short_ids, token_embedding, tokenizer
from dreambooth_nodes.trainer.prompts import IDENTIFIER_MARK

SHOWN_NOUNS = ("car", "dog")
SUBJECTS_OF_CHUNK = 6


@pytest.fixture(scope="module")
def icons() -> Icons:
    """Discs of various greys stand for the drawings: no vendor's package is needed."""
    axis = np.linspace(-1, 1, TEXTURE)
    disc = (axis[:, None] ** 2 + axis[None] ** 2 < 1)[..., None]

    def discs(count: int) -> np.ndarray:
        greys = np.linspace(30, 220, count).astype(np.uint8)
        return np.stack([np.concatenate([disc * grey] * 3 + [disc * 255], 2).astype(np.uint8) for grey in greys])

    known = [NOUNS.index(noun) for noun, _, _ in training_drawings()]
    classes = np.array([*known, *range(len(NOUNS), len(NOUNS) + 6)])
    return Icons(discs(len(known)), discs(len(SUBJECTS)), discs(6), classes)


@pytest.fixture(scope="module")
def scenes(icons: Icons) -> SubjectScenes:
    nouns = [noun for noun, _, _ in training_drawings()]
    shown = torch.tensor([noun in SHOWN_NOUNS for noun in nouns] + [True] * 6)
    torch.manual_seed(1)
    return SubjectScenes(
        icons, shown, new_vae(replace(BASE, groups=1)).eval().requires_grad_(False), 5, [64], SUBJECTS_OF_CHUNK
    )


def test_a_chunk_is_a_function_of_its_number(scenes: SubjectScenes) -> None:
    first, again, other = scenes.chunk(3), scenes.chunk(3), scenes.chunk(4)
    assert torch.equal(first.pictures, again.pictures) and first.prompts == again.prompts
    assert torch.equal(first.moments[64], again.moments[64])
    assert not torch.equal(first.pictures, other.pictures)
    assert first.pictures.shape == (SUBJECTS_OF_CHUNK, PICTURES, 3, 128, 128)
    assert first.moments[64].shape == (SUBJECTS_OF_CHUNK, PICTURES, 8, 8, 8)


def test_only_drawings_that_may_be_shown_are(scenes: SubjectScenes) -> None:
    assert {noun for index in range(4) for noun in scenes.chunk(index).nouns} == {*SHOWN_NOUNS, THING}


def test_prompts_say_the_word_and_nothing_of_what_makes_the_subject(scenes: SubjectScenes) -> None:
    chunk = scenes.chunk(1)
    for noun, prompts in zip(chunk.nouns, chunk.prompts, strict=True):
        for row, prompt in enumerate(prompts):
            words = prompt.split()
            assert words.count(IDENTIFIER_MARK) == 1 and noun not in words
            if row < PHOTOS:
                assert not {*words} & {*COLOURS, *ADJECTIVES}
            assert not {*words} & {"golden", "dark", "sks"}


def test_photos_of_a_subject_are_of_one_colour_inside_their_masks(scenes: SubjectScenes) -> None:
    chunk = scenes.chunk(2)
    inside = (chunk.masks > 250)[:, :PHOTOS, None]
    mean = (chunk.pictures[:, :PHOTOS] * inside).sum((3, 4)) / inside.sum((3, 4))
    assert inside.sum((2, 3, 4)).min() > 500
    apart = (mean - mean.mean(1, keepdim=True)).abs().amax((1, 2))
    others = (mean.mean(1)[:, None] - mean.mean(1)).abs().amax(2)
    # a disc is of one grey, which its colour tints alike everywhere
    assert apart.max() < 6 and others.max() > 60


def test_a_batch_does_not_depend_on_the_steps_before(scenes: SubjectScenes) -> None:
    step = 2 * STEPS_OF_CHUNK + 3
    one, other = (ScenePairs(scenes, 9, [64], 4) for _ in range(2))
    one[0]
    (first,), (same,) = one[step], other[step]
    for name in ("photos", "x", "noise", "timesteps"):
        assert torch.equal(getattr(first, name), getattr(same, name))
    assert first.prompts == same.prompts and first.nouns == same.nouns
    assert first.photos.shape == (4, 1, 3, 128, 128) and first.x.shape == (4, 4, 8, 8)
    assert one[2][0].photos.shape[1] == 2
    # the schedule is covered
    assert [int(t) // 250 for t in first.timesteps] == [0, 1, 2, 3]


class Device:
    """What ToyPrompts reads of a denoiser where nothing is predicted."""

    device = torch.device("cpu")


def test_a_known_words_vector_in_the_words_place_is_that_word() -> None:
    prompts = ToyPrompts(Device())  # type: ignore[arg-type]
    (dog,) = tokenizer()("dog", add_special_tokens=False).input_ids
    vector = token_embedding()[dog].float()
    torch.testing.assert_close(prompts.nouns(["dog"])["text_encoder"][0], vector)
    found = prompts.conditioning(["a red [V] on the beach"], {"text_encoder": vector[None, None]})["context"]
    torch.testing.assert_close(found, short_context(torch.tensor([short_ids("a red dog on the beach")])))
    two = prompts.conditioning(["a [V]"], {"text_encoder": vector.expand(1, 2, -1)})["context"]
    torch.testing.assert_close(two, short_context(torch.tensor([short_ids("a dog dog")])))
    assert ids_with_word("a cat", 3) == short_ids("a cat")
    with pytest.raises(ValueError, match="at most"):
        ids_with_word("a [V]", 30)


def test_a_drawing_is_centred_and_fills_the_square() -> None:
    rgba = torch.zeros(2, 4, 128, 128)
    rgba[0, :, 10:50, 20:100] = 1
    rgba[1, :, 60:124, 90:110] = 1
    seen = centred(rgba)[:, 3] > 0.5
    assert seen.shape == (2, CENTRED, CENTRED)
    assert seen[0].any(0).all() and seen[0].any(1).sum() == CENTRED // 2
    assert seen[1].any(1).all() and torch.equal(seen[1], seen[1].flip(1))


def test_the_other_photo_is_of_the_same_noun_where_there_is_one() -> None:
    nouns, wrong = [noun for noun, _, _ in SUBJECTS.values()], wrong_photos()
    assert all(other != index for index, other in enumerate(wrong))
    for index, noun in enumerate(nouns):
        assert nouns[wrong[index]] == noun or nouns.count(noun) == 1
