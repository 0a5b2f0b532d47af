"""The embedded base is asked what photos show: its errors are those of the training loss, and it knows subjects."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.toybase.known_nouns import other_pictures
from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.sampling import noun_probe
from dreambooth_nodes.trainer.sampling.noun_probe import LEVELS, SAMPLES, measurements, suggest_nouns
from dreambooth_nodes.trainer.subject.photos import read_folder

SIDE = 128
NOUNS = ("dog", "teapot", "guitar", "car", "house", "fish", "clock", "tree", "hat", "rabbit", "chair", "boat")


@pytest.fixture(scope="module")
def base(toybase_file: Path) -> Base:
    return load_base(toybase_file)


def pictures(subject: str) -> torch.Tensor:
    photos = read_folder(ROOT / "toybase" / "subjects" / subject, SIDE, SIDE)
    return torch.stack([photo.pixels for photo in photos])


@torch.no_grad()
def test_an_error_is_the_squared_error_of_the_prediction_for_one_picture_noise_and_level(base: Base) -> None:
    """‖ε(α·x + σ·n, t, "a dog") − n‖², worked out from the schedule's own table."""
    shown = pictures("spotted_dog")[:3]
    level, number = 1, 2
    found = noun_probe._Probe.of(base, shown).errors(["dog", "apple"], [(level, number)], lambda done: None)
    x = base.encode_images(shown).mean[number : number + 1]
    noise = randomness.normal(0, "class noun", [level * SAMPLES + number], x.shape[1:])
    alphas = base.noise_process.alphas_cumprod  # type: ignore[attr-defined]
    t = torch.tensor([int(LEVELS[level] * len(alphas))])
    noisy = alphas[t].sqrt() * x + (1 - alphas[t]).sqrt() * noise
    for column, prompt in enumerate(("a dog", "an apple")):
        answer = base.predict(noisy, t, base.encode_prompts([prompt]))
        assert found[0, column] == pytest.approx(float((answer - noise).square().mean()), rel=1e-4)


@pytest.mark.parametrize("subject", ["sitting_rabbit", "racing_car"])
def test_a_subject_that_the_base_never_saw_is_known_by_its_noun(base: Base, subject: str) -> None:
    told: list[int] = []
    shown = pictures(subject)
    others = torch.cat([shown[:1], other_pictures(shown)[:3]])
    found = suggest_nouns(base, shown, NOUNS, others, told.append)
    assert subject.partition("_")[2] in [one.noun for one in found[:3]]
    assert len(found) == noun_probe.SHOWN and sum(told) == measurements(len(NOUNS), len(others) - 1), (
        "its own is no other picture"
    )
    assert [one.odds for one in found] == sorted((one.odds for one in found), reverse=True)
