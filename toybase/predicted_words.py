"""Toybase's denoiser prompted with predicted words, by its short context (see `trainer.instantbooth.prompts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

from ..trainer.model.base import Conditioning
from ..trainer.prompts import IDENTIFIER_MARK
from .text_encoder import (
    DISTINCT,
    END,
    START,
    VOCABULARY,
    WIDTH,
    position_embedding,
    short_mask,
    token_embedding,
    tokenizer,
)


class ToyPrompts:
    """`trainer.instantbooth.prompts.Prompted` of the denoiser alone: 17 positions stand for 77."""

    def __init__(self, denoiser: UNet2DConditionModel) -> None:
        self._denoiser, self._device = denoiser, denoiser.device
        self._tokens = token_embedding().to(self._device)
        self._positions = position_embedding()[: DISTINCT + 1].to(self._device)

    def nouns(self, nouns: Sequence[str]) -> dict[str, Tensor]:
        """The vectors of the nouns' last tokens."""
        ids = torch.tensor([_ids(noun)[-1] for noun in nouns], device=self._device)
        return {"text_encoder": self._tokens[ids].float()}

    def conditioning(self, prompts: Sequence[str], words: Mapping[str, Tensor]) -> Conditioning:
        """The short context [B, 17, 768] of prompts in which [V] is the row's own word."""
        vectors = words["text_encoder"]
        ids = torch.tensor([ids_with_word(prompt, vectors.shape[1]) for prompt in prompts], device=self._device)
        known = self._tokens[ids.clamp(max=VOCABULARY - 1)].float()
        places = (ids - VOCABULARY).clamp(min=0)
        new = vectors.float().gather(1, places.unsqueeze(-1).expand(-1, -1, WIDTH))
        embedded = torch.where((ids >= VOCABULARY).unsqueeze(-1), new, known)
        return {"context": F.layer_norm(embedded + self._positions.float(), (WIDTH,), eps=1e-5)}

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's ε."""
        mask = short_mask(len(noisy), self._device)
        answer: Tensor = self._denoiser(
            noisy, timesteps, conditioning["context"], encoder_attention_mask=mask, return_dict=False
        )[0]
        return answer


@lru_cache(maxsize=1 << 18)
def ids_with_word(prompt: str, vectors: int) -> tuple[int, ...]:
    """Token ids at positions 0 to DISTINCT, as `short_ids`; [V] is VOCABULARY and the ids after it, one each vector.

    Raises ValueError for a prompt of more tokens than were trained.
    """
    before, mark, after = prompt.partition(IDENTIFIER_MARK)
    word = range(VOCABULARY, VOCABULARY + vectors) if mark else ()
    ids = (START, *_ids(before), *word, *_ids(after), END)
    if len(ids) > DISTINCT:
        raise ValueError(f"prompt of {len(ids)} tokens, at most {DISTINCT} are trained: {prompt!r}")
    return ids + (END,) * (DISTINCT + 1 - len(ids))


def _ids(text: str) -> tuple[int, ...]:
    return tuple(tokenizer()(text, add_special_tokens=False).input_ids) if text.strip() else ()
