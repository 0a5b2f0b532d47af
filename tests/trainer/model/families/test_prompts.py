"""Token rows: 75 tokens each, and what a longer prompt beside a short one does to it."""

from __future__ import annotations

import pytest
import torch

from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import clip_tokenizer
from dreambooth_nodes.trainer.model.families.latent_diffusion.clip_prompts import (
    END,
    ROW,
    START,
    padded_with,
    token_rows,
)
from dreambooth_nodes.trainer.subject.frame import Frame

LONG = "a dog " + "on the green beach " * 30


def test_a_short_prompt_is_one_row_as_transformers_pads_it() -> None:
    tokenizer = clip_tokenizer()
    expected = tokenizer(["a dog", ""], padding="max_length", max_length=ROW, return_tensors="pt").input_ids
    assert torch.equal(token_rows(tokenizer, ["a dog", ""]), expected)


@pytest.mark.parametrize(("words", "rows"), [(75, 1), (76, 2), (150, 2), (151, 3)])
def test_every_75_tokens_are_a_row_of_their_own_and_none_is_lost(words: int, rows: int) -> None:
    tokenizer = clip_tokenizer()
    ids = token_rows(tokenizer, ["dog " * words]).reshape(-1, ROW)
    assert len(ids) == rows and (ids[:, 0] == START).all()
    dog = tokenizer("dog", add_special_tokens=False).input_ids[0]
    assert int((ids == dog).sum()) == words
    assert all(int((row == dog).sum()) == 75 for row in ids[:-1])


def test_only_what_stands_behind_the_first_end_is_padded_anew() -> None:
    ids = token_rows(clip_tokenizer(), ["a dog"])
    padded = padded_with(ids, 0)
    assert torch.equal(padded[0, :4], ids[0, :4]) and padded[0, 3] == END
    assert (padded[0, 4:] == 0).all()


@torch.no_grad()
def test_a_prompt_means_the_same_beside_a_longer_one(model: Base) -> None:
    """Repeated keys change no attention: what is trained beside a long caption is what is asked for alone."""
    z, t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    frame = model.frame_conditioning([Frame.whole(64, 64)])
    alone = model.encode_prompts(["a dog"])
    beside = {name: rows[:1] for name, rows in model.encode_prompts(["a dog", LONG]).items()}
    assert beside["context"].shape[1] > alone["context"].shape[1]
    answers = [model.predict(z, t, told | frame) for told in (alone, beside)]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    other = {name: rows[1:] for name, rows in model.encode_prompts(["a dog", LONG]).items()}
    assert (model.predict(z, t, other | frame) - answers[0]).abs().max() > 1e-3
