"""The identity of a graph's MODEL, CLIP and VAE, wherever the host keeps their weights just now.

It is made of a sample of every unpatched weight, of all pending patches with their strengths, and of the objects that
the graph has changed; never of the host's own ids, which are other ones after a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from ...trainer.model.fingerprint import Sample, sampled_values
from ...trainer.wording import Wording
from .reader import Reader

SAMPLING = "model_sampling"
"""The host's name of a model's noise schedule."""
_SAMPLED = 8
"""The number of matrices in a `weight_sample`."""


@dataclass(frozen=True)
class Identity:
    """What tells a MODEL, CLIP and VAE, with all that a graph has changed of them, from others.

    fingerprint: SHA-256 (hex). unread: the kinds of patches and objects that cannot be read, each of which counts as
    another one each time.
    """

    fingerprint: str
    unread: tuple[str, ...]


def unread_warning(unread: Sequence[str]) -> Wording | None:
    """What to say of changes to a model that cannot be read; None where there is none."""
    if not unread:
        return None
    return Wording(
        "The model is changed by {0}, which cannot be read: its runs are never found again, nor gone on with.",
        ", ".join(unread),
    )


def identity_of(model: Any, clip: Any, vae: Any) -> Identity:
    """The identity of a graph's model."""
    patchers = {"model": model, "clip": clip.patcher, "vae": vae.patcher}
    return _identity(patchers, f"layer {getattr(clip, 'layer_idx', None)}")


def identity_of_model(model: Any) -> Identity:
    """The identity of a MODEL alone."""
    return _identity({"model": model})


def _identity(patchers: Mapping[str, Any], last: str = "") -> Identity:
    """The identity of the host's patchers, by their names. last: a text that counts too."""
    digest, reader = hashlib.sha256(), Reader()
    for part, patcher in patchers.items():
        for text in (*_weights(patcher), *_patches(patcher, reader), *_objects(patcher, reader)):
            digest.update(f"{part}.{text}\n".encode())
    digest.update(last.encode())
    return Identity(digest.hexdigest(), tuple(sorted(reader.unread)))


def weight_sample(model: Any) -> Sample:
    """A few values of a few of the denoiser's unpatched matrices, by their names in the denoiser."""
    state = model.model.diffusion_model.state_dict()
    names = sorted(
        name for name, weight in state.items() if weight.ndim > 1 and _is_held(model.model.diffusion_model, name)
    )
    chosen = names[:: max(1, len(names) // _SAMPLED)][:_SAMPLED]
    return {name: sampled_values(unpatched(model, f"diffusion_model.{name}")) for name in chosen}


def unpatched(patcher: Any, key: str) -> Tensor:
    """A weight as it was loaded; the host keeps it aside while patches are applied."""
    if key in patcher.backup:
        return torch.as_tensor(patcher.backup[key].weight)
    return torch.as_tensor(comfy.utils.get_attr(patcher.model, key))


def _is_held(module: Any, key: str) -> bool:
    """Whether a key of a module's state is a tensor in it. Newer hosts also write the parts of quantised weights, whose
    values are seen in the weights themselves.
    """
    layer, _, name = key.rpartition(".")
    return hasattr(module.get_submodule(layer), name)


def _weights(patcher: Any) -> Iterator[str]:
    """A line for every unpatched weight."""
    skipped = {SAMPLING, *(key.partition(".")[0] for key in patcher.object_patches)}
    for key in sorted(patcher.model.state_dict()):
        # A changed object stands in the model's place while it is loaded: objects are described by themselves.
        if key.partition(".")[0] not in skipped and _is_held(patcher.model, key):
            weight = unpatched(patcher, key)
            yield f"{key} {tuple(weight.shape)} {sampled_values(weight)}"


def _patches(patcher: Any, reader: Reader) -> Iterator[str]:
    """A line for every pending patch of a weight, in the order in which they are applied."""
    for key, patches in sorted(patcher.patches.items(), key=lambda item: str(item[0])):
        yield from (f"{key} {reader.described(patch)}" for patch in patches)


def _objects(patcher: Any, reader: Reader) -> Iterator[str]:
    """A line for the noise schedule and every changed object: the classes and values of a module, or the object."""
    objects = dict(patcher.object_patches)
    if hasattr(patcher.model, SAMPLING):
        objects[SAMPLING] = patcher.get_model_object(SAMPLING)
    for name, changed in sorted(objects.items()):
        kinds = [kind.__name__ for kind in type(changed).__mro__]
        values = {
            key: value for key, value in vars(changed).items() if isinstance(value, int | float | str | Tensor)
        } if isinstance(changed, torch.nn.Module) else changed  # fmt: skip
        buffers = dict(changed.named_buffers()) if isinstance(changed, torch.nn.Module) else {}
        yield f"{name} {kinds} {reader.described(values)} {reader.described(buffers)}"
