"""CLIP's token ids for prompts: 75 tokens between a start and an end token; longer prompts take several such rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

ROW = 77
"""Tokens of a row, with its start and end tokens."""
START, END = 49406, 49407
"""The ids of CLIP's start and end tokens."""
WORDS = ROW - 2
"""Tokens of a row that the prompt fills."""
NO_WORDS: Mapping[str, Sequence[int]] = {}


def token_rows(tokenizer: Any, prompts: Sequence[str], words: Mapping[str, Sequence[int]] = NO_WORDS) -> Tensor:
    """Token ids int64 [B, 77·k], padded with the end token; k is the same for all prompts.

    A prompt of more than 75 tokens is encoded 75 tokens at a time, and the encoders' outputs are concatenated, as
    ComfyUI does it. Shorter prompts in the same batch are repeated to that length: cross-attention over repeated keys
    equals attention over them once, so every prompt has the same effect as alone. words: {new word in lower case: its
    token ids}.
    """
    cut = [_rows([*_token_ids(tokenizer, prompt, words)]) for prompt in prompts]
    common = math.lcm(*(len(rows) for rows in cut))
    return torch.stack([torch.tensor(rows).flatten().repeat(common // len(rows)) for rows in cut])


def padded_with(token_ids: Tensor, pad: int) -> Tensor:
    """The ids [..., 77] with all tokens after each row's first end token replaced by `pad`."""
    behind = (token_ids == END).cumsum(-1) > 1
    return token_ids.masked_fill(behind, pad)


def _token_ids(tokenizer: Any, prompt: str, words: Mapping[str, Sequence[int]]) -> Iterator[int]:
    """The token ids of a prompt, without start and end; each of `words`, which stands alone, as its own ids."""
    # The longest first: one word may begin another.
    named = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pieces = re.split(rf"(?<!\w)({named})(?!\w)", prompt, flags=re.IGNORECASE) if words else [prompt]
    for piece in pieces:
        yield from words.get(piece.lower()) or tokenizer(piece, add_special_tokens=False).input_ids


def _rows(ids: list[int]) -> list[list[int]]:
    """The ids split into rows of 77: start token, up to 75 ids, end tokens."""
    parts = [ids[i : i + WORDS] for i in range(0, len(ids), WORDS)] or [[]]
    return [[START, *part, *[END] * (ROW - 1 - len(part))] for part in parts]
