"""A tiny base of random weights: written once a session, loaded anew where a test changes it.

Tests of what is learned, and of how large what is counted is, load the embedded base themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import request_of
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling import class_priors as priors
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.subject.photos import read_folder
from dreambooth_nodes.trainer.subject.subject import Subject

SIDE = 64
SUBJECTS = Path(__file__).resolve().parents[2] / "toybase" / "subjects"


@pytest.fixture
def new_base(tiny_base_file: Path) -> Callable[[], Base]:
    return lambda: load_base(tiny_base_file)


@pytest.fixture(scope="session")
def base(tiny_base_file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(tiny_base_file)


@pytest.fixture(scope="session")
def subject() -> Subject:
    folder = next(path for path in sorted(SUBJECTS.iterdir()) if path.name == "spotted_dog")
    return Subject(read_folder(folder, SIDE, SIDE), "dog", SIDE, SIDE)


def recipe(drawn_by: Base, **changes: object) -> priors.PriorRecipe:
    fields = {
        "base_fingerprint": drawn_by.fingerprint,
        "class_noun": "dog",
        "prompt": "a dog",
        "sampler": "euler_ancestral",
        "steps": 4,
        "guidance": 4.0,
        "width": SIDE,
        "height": SIDE,
        "seed": 0,
    }
    return priors.PriorRecipe(**{**fields, **changes})  # type: ignore[arg-type]


def drawer(base: Base, drawn: list[int] | None = None) -> priors.Draw:
    """The trainer's own sampler; `drawn` collects the seeds that were asked for."""
    settings = SamplerSettings(width=SIDE, height=SIDE, steps=4, guidance=4.0)

    def draw_batch(seeds: object) -> torch.Tensor:
        seeds = list(seeds)  # type: ignore[call-overload]
        if drawn is not None:
            drawn.extend(seeds)
        return draw(base, ["a dog"] * len(seeds), seeds, settings)

    return draw_batch


@pytest.fixture(scope="session")
def class_priors(base: Base, tmp_path_factory: pytest.TempPathFactory) -> priors.ClassPriors:
    return priors.draw_missing(recipe(base), 3, tmp_path_factory.mktemp("priors"), drawer(base), 3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    output = tmp_path / "output"
    return Store(output / "loras", output / "checkpoints", output / "dreambooth")


@pytest.fixture
def asked(subject: Subject, class_priors: priors.ClassPriors) -> Request:
    return request_of(subject, class_priors)
