"""A subject in the host's own patches: models are cloned, never changed."""

from __future__ import annotations

from typing import Any

import comfy.sd
from torch import Tensor


def with_lora(model: Any, clip: Any, tensors: dict[str, Tensor], on_model: float, on_clip: float) -> tuple[Any, Any]:
    """Clones of both with a LoRA of kohya keys applied; the originals are as they were."""
    return comfy.sd.load_lora_for_models(model, clip, tensors, on_model, on_clip)


def with_difference(
    model: Any, clip: Any, difference: dict[str, dict[str, Tensor]], on_model: float, on_clip: float
) -> tuple[Any, Any]:
    """Clones of both with {component: {the host's name: W_trained − W_base}} added.

    Raises ValueError when the model has no such weights: it is not of the family that was trained.
    """
    clones = model.clone(), clip.clone()
    for component, weights in difference.items():
        patcher, strength = (clones[0], on_model) if component == "denoiser" else (clones[1], on_clip)
        patches = {name: ("diff", (weight,)) for name, weight in weights.items()}
        refused = set(patches) - set(patcher.add_patches(patches, strength))
        if refused:
            raise ValueError(f"The model has no weights {sorted(refused)[:3]} …; it is of another family.")
    return clones
