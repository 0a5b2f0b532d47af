"""Real trainings on the embedded base, done once for all tests here, and the judge's scorer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.bench.quality.materials import Materials
from dreambooth_nodes.tests.behaviour.trainings import (
    IDENTIFIER,
    NOUN,
    PRIORS,
    RATE,
    SAMPLER,
    SIDE,
    STEPS,
    Outcome,
    Train,
)
from dreambooth_nodes.toybase.judge_scorer import JudgeScorer
from dreambooth_nodes.toybase.subjects import FOLDER
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.presets import PRIOR_GUIDANCE
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.photos import Photo, read_folder
from dreambooth_nodes.trainer.subject.subject import Subject


@pytest.fixture(scope="module")
def materials(toybase_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Materials:
    folder = tmp_path_factory.mktemp("behaviour")
    return Materials(folder, SIDE, SAMPLER, torch.device("cpu"), (toybase_file, folder / "no diffusers folder"))


@pytest.fixture(scope="module")
def scorer() -> JudgeScorer:
    return JudgeScorer()


@pytest.fixture(scope="module")
def photos() -> tuple[Photo, ...]:
    return tuple(read_folder(FOLDER / "racing_car", SIDE, SIDE))


@pytest.fixture(scope="module")
def priors(materials: Materials) -> ClassPriors:
    folder = materials.class_images(NOUN, PRIORS, PRIOR_GUIDANCE)
    return ClassPriors(materials.recipe(NOUN, PRIOR_GUIDANCE), folder, PRIORS)


@pytest.fixture(scope="module")
def train(materials: Materials, photos: tuple[Photo, ...], tmp_path_factory: pytest.TempPathFactory) -> Train:
    def run(priors: ClassPriors | None = None, photos: tuple[Photo, ...] = photos, **options: object) -> Outcome:
        settings = {"steps": STEPS, "learning_rate": RATE, "sample_count": 0, **options}
        output = tmp_path_factory.mktemp("trained")
        request = Request(
            subject=Subject(photos, NOUN, SIDE, SIDE),
            identifier=IDENTIFIER,
            options=TrainOptions(**settings),  # type: ignore[arg-type]
            name="subject",
            priors=priors,
        )
        base = materials.load()
        store = Store(output / "loras", output / "checkpoints", output / "dreambooth")
        result, _ = personalize(base, request, store)
        return Outcome(result.file, base)

    return run


@pytest.fixture(scope="module")
def untrained(materials: Materials) -> Outcome:
    return Outcome(materials.checkpoint, materials.load(), identifier="")


@pytest.fixture(scope="module")
def with_priors(train: Train, priors: ClassPriors) -> Outcome:
    return train(priors)


@pytest.fixture(scope="module")
def without_priors(train: Train) -> Outcome:
    return train()
