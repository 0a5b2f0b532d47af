"""The training of a predictor from photos of several subjects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.events import Step
from dreambooth_nodes.trainer.instantbooth.augmentation import at_side, augmented
from dreambooth_nodes.trainer.instantbooth.photo_pairs import SubjectPhotos, photo_pairs, prompt_of
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.session.predictor_training import PredictorRun
from dreambooth_nodes.trainer.session.resume_state import StateError
from dreambooth_nodes.trainer.subject.photos import Photo

STEPS = 4


@pytest.fixture(scope="module", params=["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, f"predictor_of_{request.param}") as folder:
        yield write_checkpoint(request.param, folder / "base.safetensors")


def subjects(count: int = 3) -> list[SubjectPhotos]:
    generator = torch.Generator().manual_seed(4)
    return [
        SubjectPhotos(
            tuple(
                Photo(
                    f"{shot}", torch.rand(3, 64, 64, generator=generator), None, "a dog on the beach" if shot else None
                )
                for shot in range(2)
            ),
            "dog",
        )
        for _ in range(count)
    ]


def run(file: Path, target: Path, **changes: object) -> PredictorRun:
    options = TrainOptions(steps=STEPS, batch_size=2, learning_rate=1e-2, ema_decay=0.9, precision="fp32")
    return PredictorRun(load_base(file), subjects(), dataclasses.replace(options, **changes), target, 2, 32)  # type: ignore[arg-type]


def weights(training: PredictorRun) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.predictor.state_dict().items()}


def never() -> bool:
    return False


def test_the_predictor_is_trained_and_the_base_is_not(file: Path, tmp_path: Path) -> None:
    base = load_base(file)
    before = {name: value.clone() for name, value in base.denoiser.state_dict().items()}
    training = PredictorRun(base, subjects(), TrainOptions(steps=2, batch_size=2), tmp_path / "p.safetensors", 2, 32)
    start, points = weights(training), list[Step]()
    assert training.train(lambda event: points.append(event) if isinstance(event, Step) else None, never, 60)
    assert [point.step for point in points] == [1, 2]
    for name, value in base.denoiser.state_dict().items():
        assert torch.equal(value, before[name])
    same = {name for name, value in weights(training).items() if torch.equal(value, start[name])}
    # What is behind a gate that is still shut learns from the second step on.
    assert not {name for name in same if name.startswith(("encoder.heads", "encoder.pool"))}
    assert not {name for name in same if name.endswith("gate")}


def test_a_stopped_training_goes_on_as_if_it_had_not_been(file: Path, tmp_path: Path) -> None:
    whole = run(file, tmp_path / "whole.safetensors")
    assert whole.train(lambda event: None, never, 60)
    first, seen = run(file, tmp_path / "parts.safetensors"), list[Step]()
    assert not first.train(lambda e: seen.append(e) if isinstance(e, Step) else None, lambda: len(seen) == 2, 60)
    second = run(file, tmp_path / "parts.safetensors")
    assert second.train(lambda event: None, never, 60)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(second).items())
    with pytest.raises(StateError, match="another run"):
        run(file, tmp_path / "parts.safetensors", seed=5).train(lambda event: None, never, 60)


def test_a_pair_is_two_photos_of_one_subject_and_a_function_of_the_step(file: Path) -> None:
    base, found = load_base(file), subjects()
    pairs, again = (photo_pairs(base, found, 32, 7, 6) for _ in range(2))
    first, same = pairs[0][0], again[0][0]
    for field in ("photos", "x", "noise", "timesteps"):
        assert torch.equal(getattr(first, field), getattr(same, field))
    assert not torch.equal(first.noise, pairs[1][0].noise)
    shown = {sample: pairs._pair(sample) for sample in range(12)}
    assert all(pairs.of[photo] == pairs.of[target] and photo != target for photo, target in shown.values())
    # an epoch shows every subject once
    assert sorted(pairs.of[shown[sample][0]] for sample in range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("caption", "prompt"),
    [
        (None, "a [V]"),
        ("a Dog on the beach", "a [V] on the beach"),
        ("on the beach", "a [V], on the beach"),
        ("a red [V] in the snow", "a red [V] in the snow"),
        ("two dogs", "a [V], two dogs"),
    ],
)
def test_a_prompt_says_the_word_for_the_noun(caption: str | None, prompt: str) -> None:
    assert prompt_of(caption, "dog") == prompt


def test_a_photo_keeps_its_shape_in_the_encoders_square() -> None:
    wide = at_side(torch.ones(1, 20, 40), 16)
    assert wide.shape == (1, 16, 16)
    assert torch.equal(wide[0, :, 0] > 0.5, torch.tensor([False] * 4 + [True] * 8 + [False] * 4))
    torch.testing.assert_close(at_side(torch.ones(3, 40, 20), 16), wide.mT.expand(3, -1, -1))


def test_augmented_photos_stay_in_range_and_some_are_masked() -> None:
    photos, masks = torch.full((64, 3, 16, 16), 0.9), torch.zeros(64, 1, 16, 16)
    found = augmented(photos, masks, torch.Generator().manual_seed(1))
    assert found.shape == photos.shape and found.abs().max() <= 1
    grey = (found.mean((1, 2, 3)).abs() < 0.2).float().mean()
    assert 0.1 < grey < 0.45
    assert torch.equal(found, augmented(photos, masks, torch.Generator().manual_seed(1)))
    assert not torch.equal(found, augmented(photos, masks, torch.Generator().manual_seed(2)))
