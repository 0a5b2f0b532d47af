"""What the first process has encoded, in all of them: bit for bit the same, from pictures that only it has to have."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..distributed.processes import Processes
from ..model.base import Conditioning, Posterior
from .encoded import EncodedImages, EncodedPrompts

Encoded = tuple[EncodedPrompts, EncodedImages, EncodedImages | None]
"""Prompts, instance images, and class images or None."""


def shared(encoded: Encoded | None, processes: Processes, device: torch.device) -> Encoded:
    """The first process's encoding, on `device`; None in the others."""
    if encoded is not None and not processes.several:
        return encoded
    tensors = processes.share(None if encoded is None else _tensors(encoded))
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    prompts = EncodedPrompts(tensors["token_ids"], _part(tensors, "conditioning.") or None)
    prior = _images(_part(tensors, "prior."))
    instance = _images(_part(tensors, "instance."))
    assert instance is not None
    return prompts, instance, prior


def _tensors(encoded: Encoded) -> dict[str, Tensor]:
    prompts, instance, prior = encoded
    named = {"token_ids": prompts.token_ids, **_prefixed("conditioning.", prompts.conditioning or {})}
    for stream, images in (("instance.", instance), ("prior.", prior)):
        if images is not None:
            own = {"mean": images.posterior.mean, "std": images.posterior.std, "prompts": torch.tensor(images.prompts)}
            masks = {} if images.masks is None else {"masks": images.masks}
            named |= _prefixed(stream, {**own, **masks, **_prefixed("frames.", images.frames)})
    return named


def _images(tensors: Mapping[str, Tensor]) -> EncodedImages | None:
    if not tensors:
        return None
    posterior = Posterior(tensors["mean"], tensors["std"])
    prompts = tuple(int(row) for row in tensors["prompts"])
    return EncodedImages(posterior, tensors.get("masks"), prompts, _part(tensors, "frames."))


def _prefixed(prefix: str, tensors: Conditioning) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
