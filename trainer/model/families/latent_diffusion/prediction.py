"""The prediction type of a denoiser, ε or v, determined by the same signs as in the hosts."""

from __future__ import annotations

from typing import get_args

from ....files.safetensors import CheckpointError
from ...noise_process import Prediction
from ...source import EDM, Source

DEEP_NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
"""The bias whose spread shows Stable Diffusion 2's prediction type."""
SPREAD_OF_V = 0.09
"""The standard deviation of that bias above which the model predicts v: Stable Diffusion 2's files do not declare the
type, and ComfyUI recognises its 768-v models so.
"""
NAMES = {"epsilon": "epsilon", "eps": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}
"""{name of a prediction type in files: its name here}."""


def prediction_of(source: Source, asked: str | None) -> Prediction:
    """The prediction type: `asked` if given, else the one that the file declares, else ε, the default of Stable
    Diffusion.

    Raises CheckpointError for a type that is neither ε nor v, and for an EDM model whatever is asked.
    """
    found = declared_prediction(source)
    said = found if found == EDM else asked or found or "epsilon"
    if said not in NAMES:
        raise CheckpointError(f"{source.name!r} predicts {said!r}; only {_choices()} can be trained.")
    return NAMES[said]  # type: ignore[return-value]


def prediction_of_sd2(source: Source, asked: str | None) -> Prediction:
    """The prediction type of a Stable Diffusion 2, determined by its weights where it is neither asked nor declared.

    Raises CheckpointError where the weights do not tell either.
    """
    if asked or declared_prediction(source):
        return prediction_of(source, asked)
    if DEEP_NORM not in source.shapes:
        raise CheckpointError(f"{source.name!r} does not show what it predicts: say {_choices()}.")
    spread = source.tensors(DEEP_NORM)[DEEP_NORM].float().std(correction=0)
    return "v_prediction" if spread > SPREAD_OF_V else "epsilon"


def declared_prediction(source: Source) -> str | None:
    """The prediction type that a model's files declare by a tensor, a modelspec field or a scheduler field; None
    without one.
    """
    if any(key.startswith("edm_") for key in source.shapes):
        return EDM
    if "v_pred" in source.shapes:
        return "v_prediction"
    return source.hints.get("prediction_type") or None


def zero_terminal_snr(source: Source) -> bool:
    """Whether the last timestep is pure noise (zero terminal SNR; Lin et al., 2023)."""
    return "ztsnr" in source.shapes or source.hints.get("zero_snr") == "true"


def _choices() -> str:
    """The prediction types that can be trained, for error messages."""
    return " or ".join(get_args(Prediction))
