"""The stored base draws what it is asked for, and not the same picture twice: slow, for weights that seldom change."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.toybase.captions import write_caption
from dreambooth_nodes.toybase.evaluate import SIZE, stored_models
from dreambooth_nodes.toybase.judge import load_judge
from dreambooth_nodes.toybase.palette import COLOURS, NOUNS, PLACES
from dreambooth_nodes.toybase.sample import sample

pytestmark = pytest.mark.slow
ASKED = [(noun, list(PLACES)[i % 12], list(COLOURS)[i % 7]) for i, noun in enumerate(NOUNS)]
ALIKE = 8
STEPS = 10
"""Half of what `sample` takes; what it draws is asked for no less."""


@pytest.fixture(scope="module")
def drawn() -> Tensor:
    """[41, 3, 128, 128]: every noun at a place in a colour, then one prompt eight times."""
    denoiser, vae = stored_models()
    prompts = [write_caption(noun, place, colour, None) for noun, place, colour in ASKED]
    pictures = sample(denoiser, vae, [*prompts, *["a car on the beach"] * ALIKE], SIZE, seed=0, steps=STEPS)
    return pictures.float().clamp(-1, 1)


@pytest.mark.parametrize("second", [False, True], ids=["judge", "second"])
def test_samples_show_the_noun_the_place_and_the_colour(second: bool, drawn: Tensor) -> None:
    seen = load_judge(second).look(drawn[: len(ASKED)])
    for part, words, which, share in (
        ("noun", list(NOUNS), 0, 0.75),
        ("place", list(PLACES), 1, 0.85),
        ("colour", list(COLOURS), 2, 0.75),
    ):
        wanted = torch.tensor([words.index(asked[which]) for asked in ASKED])
        assert (getattr(seen, part).argmax(1) == wanted).float().mean() >= share, part


def test_samples_of_one_prompt_differ(drawn: Tensor) -> None:
    judge, same = load_judge(), drawn[len(ASKED) :]
    distance = judge.distances(same)[tuple(torch.tril_indices(ALIKE, ALIKE, -1))]
    noise = judge.distance(same, (same + 0.1 * torch.randn_like(same)).clamp(-1, 1))
    assert distance.min() > noise.mean()
