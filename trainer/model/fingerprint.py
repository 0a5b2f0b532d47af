"""By what a pretrained model is known again, whoever cast it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from .source import Source

VAE = "vae"


def fingerprint(components: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 (hex) over names, shapes and values: a model has the same one in fp32, fp16, or with its VAE in bf16.

    Values are taken in fp16; of a bf16 file that is exact, a bf16 cast of another is another model. Only hosts cast
    the VAE to bf16 on their own (ComfyUI on many GPUs), and no rounding makes fp32, fp16 and bf16 of one value alike:
    so of the VAE the signs are taken, which no cast changes. Another VAE has others; one that differs by the size of
    a few weights alone has not. A base without numbers has that of its names and shapes.
    """
    digest = hashlib.sha256()
    for component in sorted(components):
        for key, tensor in sorted(components[component].items()):
            digest.update(f"{component}.{key}{tuple(tensor.shape)}".encode())
            if tensor.is_meta:
                continue
            known = torch.signbit(tensor) if component == VAE else tensor.half()
            digest.update(known.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


FIELD = "dreambooth.base_sample"


DENOISER = "model.diffusion_model."
"""What stands before the denoiser's names in the original layout."""


SAME = 0.01
"""Relative distance, a mean over the tensors: rounding to bfloat16 is about 0.002, finetuning some hundredths."""


SAME_IN_A_BYTE = 0.05
"""The same where a host keeps the weights as 8-bit floats, whose rounding is about 0.03."""


_TENSORS = 8


_VALUES = 16


Sample = dict[str, list[float]]
"""{the original layout's name without the denoiser's prefix: 16 values, evenly spaced}."""


def weight_sample(source: Source) -> Sample:
    """A few values of a few of a model's denoiser weights, by which hosts tell later whether it is the same model.

    Empty where the denoiser's tensors have no names of the original layout.
    """
    # Matrices only: a norm's weights are all near 1, whatever the model.
    names = [name for name, shape in source.shapes.items() if name.startswith(DENOISER) and len(shape) > 1]
    chosen = _evenly(sorted(names), _TENSORS)
    return {name.removeprefix(DENOISER): values_of(source.tensors(name)[name]) for name in chosen}


def values_of(weight: Tensor) -> list[float]:
    """16 evenly spaced values of a weight, or all of a smaller one, to 6 digits."""
    flat = weight.detach().flatten()
    places = torch.linspace(0, flat.numel() - 1, min(_VALUES, flat.numel())).long().tolist()
    # One by one: torch 2.3 cannot gather 8-bit floats.
    values = torch.cat([flat[place : place + 1].float() for place in places])
    return [float(f"{value:.6g}") for value in values.tolist()]


def has_the_sampled_weights(sample: Sample, weight: Callable[[str], Tensor | None]) -> bool:
    """Whether a model, asked for its weights by name, is the one that was sampled. weight: None where it has none."""
    distances, limit = [], SAME
    for name, values in sample.items():
        tensor = weight(name)
        if tensor is None or len(own := values_of(tensor)) != len(values):
            return False
        limit = SAME_IN_A_BYTE if tensor.element_size() == 1 else limit
        kept, found = torch.tensor(values), torch.tensor(own)
        distances.append(float((kept - found).norm() / kept.norm().clamp(min=1e-12)))
    return sum(distances) <= limit * len(distances)


def _evenly(items: list[Any], count: int) -> Iterable[Any]:
    step = max(1, len(items) // count)
    return items[::step][:count]
