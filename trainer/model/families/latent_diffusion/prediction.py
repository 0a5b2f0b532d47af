"""What a denoiser answers with, ε or v: by the signs that the hosts go by too."""

from __future__ import annotations

from typing import get_args

from ....files.safetensors import CheckpointError
from ...noise_process import Prediction
from ...source import EDM, Source

DEEP_NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
SPREAD_OF_V = 0.09
"""Stable Diffusion 2's weights carry no mark; ComfyUI tells its 768-v models by the spread of this bias."""
NAMES = {"epsilon": "epsilon", "eps": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}


def prediction_of(source: Source, asked: str | None) -> Prediction:
    """As asked, else as the file says, else ε, which every Stable Diffusion without a mark answers with.

    Raises CheckpointError for an answer that is neither, and for EDM's whatever is asked.
    """
    found = declared_prediction(source)
    said = found if found == EDM else asked or found or "epsilon"
    if said not in NAMES:
        raise CheckpointError(f"{source.name!r} answers with {said!r}; only {_choices()} can be trained.")
    return NAMES[said]  # type: ignore[return-value]


def prediction_of_sd2(source: Source, asked: str | None) -> Prediction:
    """The same for Stable Diffusion 2, whose v models are not marked. Raises CheckpointError where it must be asked."""
    if asked or declared_prediction(source):
        return prediction_of(source, asked)
    if DEEP_NORM not in source.shapes:
        raise CheckpointError(f"{source.name!r} does not show what it predicts: say {_choices()}.")
    spread = source.tensors(DEEP_NORM)[DEEP_NORM].float().std(correction=0)
    return "v_prediction" if spread > SPREAD_OF_V else "epsilon"


def declared_prediction(source: Source) -> str | None:
    """The prediction type that a model's files declare by a tensor, a modelspec or a scheduler field, or None."""
    if any(key.startswith("edm_") for key in source.shapes):
        return EDM
    if "v_pred" in source.shapes:
        return "v_prediction"
    return source.hints.get("prediction_type") or None


def zero_terminal_snr(source: Source) -> bool:
    """Whether the last timestep is pure noise (Lin et al., 2023)."""
    return "ztsnr" in source.shapes or source.hints.get("zero_snr") == "true"


def _choices() -> str:
    return " or ".join(get_args(Prediction))
