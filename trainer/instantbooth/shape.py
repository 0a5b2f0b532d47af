"""The sizes of a predictor, which its file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..files.safetensors import CheckpointError

FIELD = "dreambooth.predictor"
"""The metadata field of a predictor's file: its `PredictorShape` as JSON."""


@dataclass(frozen=True)
class PredictorShape:
    """The sizes of a predictor for one kind of base.

    family: of the base, by its short name. layers: {name of a transformer block in the denoiser: its width}. words:
    {text encoder: the width of its token embeddings}. vectors: of the word, 1 or more; the last one stands where the
    class noun's stood. photo: side in pixels at which photos are looked at, a multiple of 16. widths: channels at a
    quarter, an eighth and a sixteenth of that side; the last is that of the patch features. resolution: side in pixels
    of the pictures that it was trained on.
    """

    family: str
    layers: Mapping[str, int]
    words: Mapping[str, int]
    vectors: int = 4
    photo: int = 128
    widths: tuple[int, int, int] = (64, 128, 192)
    resolution: int = 128

    def __post_init__(self) -> None:
        if self.vectors < 1 or self.photo < 16 or self.photo % 16:
            raise ValueError(
                f"a predictor of {self.vectors} vectors for photos of {self.photo} pixels: vectors is 1 or more, photo "
                "a multiple of 16"
            )

    @property
    def patches(self) -> int:
        """The number of patch features of one photo."""
        return (self.photo // 16) ** 2

    def metadata(self) -> dict[str, str]:
        """The shape as metadata of a file."""
        return {FIELD: json.dumps(asdict(self))}

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, str], file: str) -> PredictorShape:
        """The shape that a file's metadata hold. Raises CheckpointError for those of another file."""
        try:
            said: dict[str, Any] = json.loads(metadata[FIELD])
            return cls(**{**said, "widths": tuple(said["widths"])})
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{file!r} is no predictor ({FIELD!r} in its metadata): make one with the command train-predictor."
            ) from error


def transformer_blocks(denoiser: nn.Module) -> dict[str, Any]:
    """{name: block} of a UNet's transformer blocks, diffusers' BasicTransformerBlock, in the order of the modules.

    Raises ValueError where there are none.
    """
    from diffusers.models.attention import BasicTransformerBlock

    found = {name: block for name, block in denoiser.named_modules() if isinstance(block, BasicTransformerBlock)}
    if not found:
        raise ValueError("This model's denoiser has no blocks of self- and cross-attention, between which adapters go.")
    return found


def layers_of(denoiser: nn.Module) -> dict[str, int]:
    """{name: width} of a UNet's transformer blocks."""
    return {name: int(block.dim) for name, block in transformer_blocks(denoiser).items()}
