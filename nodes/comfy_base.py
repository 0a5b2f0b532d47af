"""Whether the graph's model is the one that a subject was trained on."""

from __future__ import annotations

import json
from typing import Any

import comfy.lora
import comfy.utils
from torch import Tensor

from ..trainer.files.safetensors import read_metadata
from ..trainer.model.fingerprint import FIELD, has_the_sampled_weights
from ..trainer.runs.personalized import Personalized
from ..trainer.wording import Wording


def base_warning(model: Any, result: Personalized) -> Wording | None:
    """What to say where `model` is another one than the result's base; None where it is that, or nothing is known.

    A base may have had LoRAs applied, and a second subject is chained behind a first: with or without the patches,
    either will do.
    """
    said = read_metadata(result.file).get(FIELD)
    if not said:
        return None
    sample = json.loads(said)
    plain, patched = (lambda name: _weight(model, name)), (lambda name: _patched(model, name))
    if has_the_sampled_weights(sample, plain) or has_the_sampled_weights(sample, patched):
        return None
    return Wording(
        "This is not the model it was trained on: the likeness may suffer. Connect that one, or try other strengths."
    )


def _weight(model: Any, name: str) -> Tensor | None:
    """The weight without patches, which the host keeps aside while they are applied."""
    key = f"diffusion_model.{name}"
    if key in model.backup:
        kept: Tensor = model.backup[key].weight
        return kept
    try:
        found: Tensor = comfy.utils.get_attr(model.model, key)
    except AttributeError:
        return None
    return found


def _patched(model: Any, name: str) -> Tensor | None:
    weight, patches = _weight(model, name), model.patches.get(f"diffusion_model.{name}")
    if weight is None or not patches:
        return weight
    changed: Tensor = comfy.lora.calculate_weight(patches, weight.detach().float().clone(), name)
    return changed
