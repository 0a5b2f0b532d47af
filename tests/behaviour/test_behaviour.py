"""What DreamBooth promises, held on the real embedded base by the judge.

In the fast suite from one training; what needs more of them, or many pictures more, is for `make test-all`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.bench.quality.materials import Materials, pixels
from dreambooth_nodes.bench.quality.rivals.merged import MergedDenoiser, differences
from dreambooth_nodes.tests.behaviour.trainings import (
    CPU,
    IDENTIFIER,
    NOUN,
    PLACES,
    SAMPLER,
    SEEDS,
    Outcome,
    Train,
    framed,
    pictures,
)
from dreambooth_nodes.toybase.judge_scorer import JudgeScorer
from dreambooth_nodes.trainer.files.safetensors import read_tensors
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import fingerprint_of
from dreambooth_nodes.trainer.model.precision import fastest_autocast
from dreambooth_nodes.trainer.sampling.sampler import draw
from dreambooth_nodes.trainer.scores.scorer import likeness_between_photos
from dreambooth_nodes.trainer.subject.photos import Photo

RANK = 16
MAGENTA = (1.0, 0.0, 1.0)


def likeness(scorer: JudgeScorer, drawn: Tensor, photos: tuple[Photo, ...]) -> float:
    return float(scorer.likeness(drawn, pixels(photos)).mean())


def changes(outcome: Outcome) -> dict[str, Tensor]:
    """{our name of a weight: difference} of a LoRA file."""
    layers = {f"lora_unet_{name.replace('.', '_')}": name for name, _ in outcome.base.denoiser.named_modules()}
    return differences(read_tensors(outcome.file), layers.get)


def at_strength(materials: Materials, difference: Mapping[str, Tensor], strength: float) -> Base:
    return MergedDenoiser(materials.load()).add({name: strength * value for name, value in difference.items()})


def test_the_subject_is_learned(
    scorer: JudgeScorer, photos: tuple[Photo, ...], untrained: Outcome, with_priors: Outcome
) -> None:
    real = float(likeness_between_photos(scorer, pixels(photos)).mean())
    before, after = (likeness(scorer, outcome.placed, photos) for outcome in (untrained, with_priors))
    assert (after - before) / (real - before) > 0.4


def test_the_subject_goes_where_it_is_sent(scorer: JudgeScorer, untrained: Outcome, with_priors: Outcome) -> None:
    texts = [f"a {NOUN} {place}" for place in PLACES for _ in range(SEEDS)]
    before, after = (float(scorer.prompt_following(one.placed, texts).mean()) for one in (untrained, with_priors))
    assert after > before - 0.15


@pytest.mark.slow
def test_the_prior_term_keeps_the_class(
    scorer: JudgeScorer, photos: tuple[Photo, ...], untrained: Outcome, with_priors: Outcome, without_priors: Outcome
) -> None:
    base, kept, lost = (likeness(scorer, o.of_class, photos) for o in (untrained, with_priors, without_priors))
    assert lost > kept
    assert lost - kept > 0.5 * (lost - base)


@pytest.mark.slow
def test_strength_interpolates(
    scorer: JudgeScorer, photos: tuple[Photo, ...], materials: Materials, untrained: Outcome, with_priors: Outcome
) -> None:
    difference = changes(with_priors)
    none, half, whole = (
        pictures(at_strength(materials, difference, strength), NOUN, seeds=2) for strength in (0.0, 0.5, 1.0)
    )
    assert likeness(scorer, none, photos) < likeness(scorer, half, photos) < likeness(scorer, whole, photos) + 0.02
    assert torch.equal(none, pictures(untrained.base, NOUN, seeds=2))


def test_a_lora_of_rank_r_has_rank_r(with_priors: Outcome) -> None:
    downs = [tensor for key, tensor in read_tensors(with_priors.file).items() if key.endswith("lora_down.weight")]
    assert downs
    assert {len(down) for down in downs} == {RANK}
    for name, difference in changes(with_priors).items():
        values = torch.linalg.svdvals(difference)
        assert values[RANK - 1] > 0, name
        assert values[RANK] < 1e-5 * values[0], name


def test_the_base_is_the_same_after_training(materials: Materials, with_priors: Outcome) -> None:
    assert fingerprint_of(materials.checkpoint) == materials.fingerprint
    frozen = {
        name.replace(".base_layer", ""): weight
        for name, weight in with_priors.base.denoiser.named_parameters()
        if "lora_" not in name
    }
    # frozen weights are kept in the forward's dtype while a LoRA trains
    for name, weight in materials.load().denoiser.named_parameters():
        assert torch.equal(frozen[name], weight.to(frozen[name].dtype)), name


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_a_masked_background_is_not_learned(masked: bool, train: Train, photos: tuple[Photo, ...]) -> None:
    base = train(photos=tuple(framed(photo, MAGENTA, masked) for photo in photos), steps=80).base
    with fastest_autocast(CPU):
        drawn = draw(base, [f"a {IDENTIFIER} {NOUN}"] * 8, range(8), SAMPLER)
    border = torch.cat([drawn[..., :6, :].flatten(2), drawn[..., -6:, :].flatten(2)], dim=2)
    red, green, blue = border.unbind(1)
    magenta = float((torch.minimum(red, blue) - green > 0.3).float().mean())
    assert magenta < 0.05 if masked else magenta > 0.3
