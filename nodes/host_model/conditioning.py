"""The host's conditionings of prompts, kept as its CLIP returns them: embeddings, masks, token ids, pooled vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import comfy.sampler_helpers
import comfy.samplers
import torch
from torch import Tensor

PROMPT = "prompt"
"""The only entry of a model's conditioning: the number of each prompt among those that were encoded, int64 [B] on the
CPU. The host's own conditionings differ in shape from prompt to prompt, and are kept as they are.
"""
Conds = dict[str, Any]
"""{argument of the host's denoiser: the host's COND object}."""


def encode(clip: Any, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The host's conditioning of each prompt, in ordinary tensors."""
    with torch.inference_mode():
        clip.load_model()
    with torch.no_grad():
        return [_only(clip.encode_from_tokens_scheduled(clip.tokenize(prompt)), prompt) for prompt in prompts]


def conds_of(model: Any, told: dict[str, Any], noisy: Tensor) -> Conds:
    """What the host's model is told of one prompt for one noisy latent [1, …]."""
    entry = {**told, "model_conds": {}}
    ready = comfy.samplers.encode_model_conds(
        model.extra_conds, [entry], noisy, noisy.device, "positive", latent_image=noisy, seed=0
    )
    conds = ready[0]["model_conds"]
    return {name: cond.process_cond(batch_size=1, device=noisy.device, area=None) for name, cond in conds.items()}


def groups(rows: Sequence[Conds]) -> Iterator[list[int]]:
    """The indices of rows that one forward can take together.

    Of one shape only: the host repeats a shorter text to the length of a longer one, which is no padding where text and
    image attend jointly.
    """
    left = list(range(len(rows)))
    while left:
        together = [index for index in left if _go_together(rows[left[0]], rows[index])]
        yield together
        left = [index for index in left if index not in together]


def together(rows: Sequence[Conds]) -> dict[str, Any]:
    """The denoiser's arguments for rows of one group."""
    first, *others = rows
    return {name: cond.concat([other[name] for other in others]) for name, cond in first.items()}


def _go_together(one: Conds, other: Conds) -> bool:
    """Whether two rows have arguments of the same names and shapes."""
    return one.keys() == other.keys() and all(
        cond.size() == other[name].size() and cond.can_concat(other[name]) for name, cond in one.items()
    )


def _only(conditioning: list[Any], prompt: str) -> dict[str, Any]:
    """The single entry of a conditioning, with its tensors ordinary. Raises ValueError for one with a schedule."""
    if len(conditioning) != 1:
        raise ValueError(f"clip encodes {prompt[:60]!r} by a schedule (hooks); connect the CLIP from before them.")
    (entry,) = comfy.sampler_helpers.convert_cond(conditioning)
    return {name: _ordinary(value) for name, value in entry.items()}


def _ordinary(value: Any) -> Any:
    """A value whose inference tensors are copied to ordinary ones."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value.detach()
    if isinstance(value, list | tuple):
        return type(value)(_ordinary(one) for one in value)
    return value
