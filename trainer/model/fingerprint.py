"""The identity of a pretrained model, which does not change when the model is cast to another dtype."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from .source import Source

VAE = "vae"
"""The component of which only the signs are hashed."""


def fingerprint(components: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 (hex) over names, shapes and values of a model: the same in fp32, in fp16, or with its VAE in bf16.

    Values are rounded to fp16. That is exact for a bf16 file; the bf16 cast of another file counts as another model.
    The VAE is the only component that hosts cast to bf16 on their own (ComfyUI on many GPUs), and no rounding maps
    fp32, fp16 and bf16 of a value to one number. So of the VAE only the signs are hashed, which no cast changes:
    another VAE has other signs, unless it differs only in the magnitude of a few weights. Tensors on the meta device
    contribute their names and shapes alone.
    """
    digest = hashlib.sha256()
    for component in sorted(components):
        for key, tensor in sorted(components[component].items()):
            digest.update(f"{component}.{key}{tuple(tensor.shape)}".encode())
            if tensor.is_meta:
                continue
            # As float: torch has no sign bits of 8-bit floats.
            known = torch.signbit(tensor.float()) if component == VAE else tensor.half()
            digest.update(known.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


FIELD = "dreambooth.base_sample"
"""The field of a result's metadata that holds the `weight_sample` of its base."""
DENOISER = "model.diffusion_model."
"""The prefix of the denoiser's names in the original layout."""
SAME = 0.01
"""The mean relative distance of sampled weights up to which a model is the same: rounding to bfloat16 makes about
0.002, fine-tuning some hundredths.
"""
SAME_IN_A_BYTE = 0.05
"""The same limit where a host keeps the weights as 8-bit floats, whose rounding makes about 0.03."""
_TENSORS = 8
"""The number of weights in a sample."""
_VALUES = 16
"""The number of values of each."""
Sample = dict[str, list[float]]
"""{name in the original layout without the denoiser's prefix: 16 evenly spaced values}."""


def weight_sample(source: Source) -> Sample:
    """A few values of a few of the denoiser's weights, by which hosts recognise the model later.

    Empty where the denoiser's tensors have no names of the original layout.
    """
    # Matrices only: a norm's weights are all near 1, whatever the model.
    names = [name for name, shape in source.shapes.items() if name.startswith(DENOISER) and len(shape) > 1]
    chosen = _evenly(sorted(names), _TENSORS)
    return {name.removeprefix(DENOISER): sampled_values(source.tensors(name)[name]) for name in chosen}


def sampled_values(weight: Tensor) -> list[float]:
    """A weight tensor at 16 evenly spaced positions of its flattened entries, or all entries where it has fewer;
    rounded to 6 significant digits.
    """
    flat = weight.detach().flatten()
    places = torch.linspace(0, flat.numel() - 1, min(_VALUES, flat.numel())).long().tolist()
    # One by one: torch 2.3 cannot gather 8-bit floats.
    values = torch.cat([flat[place : place + 1].float() for place in places])
    return [float(f"{value:.6g}") for value in values.tolist()]


def has_the_sampled_weights(sample: Sample, weight: Callable[[str], Tensor | None]) -> bool:
    """Whether a model is the one that was sampled, up to rounding. weight: returns a weight by name, None where it has
    none.
    """
    distances, limit = [], SAME
    for name, values in sample.items():
        tensor = weight(name)
        if tensor is None or len(own := sampled_values(tensor)) != len(values):
            return False
        limit = SAME_IN_A_BYTE if tensor.element_size() == 1 else limit
        kept, found = torch.tensor(values), torch.tensor(own)
        distances.append(float((kept - found).norm() / kept.norm().clamp(min=1e-12)))
    return sum(distances) <= limit * len(distances)


def _evenly(items: list[Any], count: int) -> Iterable[Any]:
    """At most `count` items, evenly spaced."""
    step = max(1, len(items) // count)
    return items[::step][:count]
