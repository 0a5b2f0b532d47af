"""A forward of a host's denoiser for rows of several prompts, by the host's `apply_model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...trainer.model.base import Conditioning
from .conditioning import PROMPT, conds_of, groups, together


def predicted(
    base: Any,
    noisy: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """The network's output for z_t [B, C, h, w] at noise levels [B], by the denoiser of `base`, a HostModel.

    options: of the host's transformers, beside the graph's.
    """
    model, z = base.model.model, noisy.unsqueeze(2) if base.has_frames else noisy
    rows = [base.prompts[number] for number in conditioning[PROMPT].tolist()]
    conds = [conds_of(model, told, z[i : i + 1]) for i, told in enumerate(rows)]
    denoised: dict[int, Tensor] = {}
    for group in groups(conds):
        chosen = {**base.model.model_options["transformer_options"], **(options or {})}
        answer = model.apply_model(
            torch.stack([z[i] for i in group]),
            torch.stack([timesteps[i] for i in group]),
            transformer_options={**chosen, "cond_or_uncond": [0] * len(group)},
            **together([conds[index] for index in group]),
        )
        denoised.update(zip(group, answer, strict=True))
    whole = torch.stack([denoised[index] for index in range(len(z))]).view_as(noisy)
    return base.noise_process.answer(whole, noisy, timesteps)
