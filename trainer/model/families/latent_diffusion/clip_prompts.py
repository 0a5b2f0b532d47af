"""Prompts as CLIP takes them: 75 tokens between a start and an end, longer ones in several such rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

ROW = 77
START, END = 49406, 49407
WORDS = ROW - 2


def token_rows(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Token ids int64 [B, 77·k], padded with the end token; k is the same for all prompts.

    A prompt of more than 75 tokens is encoded 75 at a time and the answers stand side by side, as ComfyUI does it.
    Shorter prompts beside it are repeated to its length: attention over repeated keys is attention over them once,
    so every prompt means what it means alone.
    """
    cut = [_rows(tokenizer(prompt, add_special_tokens=False).input_ids) for prompt in prompts]
    common = math.lcm(*(len(rows) for rows in cut))
    return torch.stack([torch.tensor(rows).flatten().repeat(common // len(rows)) for rows in cut])


def padded_with(token_ids: Tensor, pad: int) -> Tensor:
    """The same ids [..., 77], with another token behind each row's first end token."""
    behind = (token_ids == END).cumsum(-1) > 1
    return token_ids.masked_fill(behind, pad)


def _rows(ids: list[int]) -> list[list[int]]:
    parts = [ids[i : i + WORDS] for i in range(0, len(ids), WORDS)] or [[]]
    return [[START, *part, *[END] * (ROW - 1 - len(part))] for part in parts]
