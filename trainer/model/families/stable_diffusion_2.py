"""Stable Diffusion 2.x: conditioned on OpenCLIP ViT-H's penultimate layer; ε-prediction at 512 pixels, v at 768."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ...files.safetensors import Shapes
from ..base import Conditioning
from ..keys import KeyTable, count_numbered
from ..noise_process import Prediction
from ..source import Source
from .latent_diffusion.base import OneTextEncoder, join_windows
from .latent_diffusion.clip_prompts import ROW, padded_with
from .latent_diffusion.keys import IGNORABLE, OPEN_CLIP_PREFIXES, first_prefix_in, open_clip_table
from .latent_diffusion.prediction import prediction_of_sd2

LAYERS = 23
"""The text encoder's layers in use. The checkpoint has a 24th, whose output the denoiser does not use; it is copied
unchanged into results.
"""
PAD = 0
"""The token id that pads prompts ("!")."""


class StableDiffusion2(OneTextEncoder):
    """Stable Diffusion 2.0, 2.1 and models fine-tuned from them."""

    family: ClassVar[str] = "sd2"
    context: ClassVar[int] = 1024
    comfyui: ClassVar[dict[str, str]] = {"denoiser": "diffusion_model.", "text_encoder": "clip_h.transformer."}
    kohya_version: ClassVar[str] = "sd_v2"
    pad_tokens: ClassVar[dict[str, str]] = {"text_encoder": "!"}
    ignorable: ClassVar[dict[str, str]] = IGNORABLE | {
        "the text encoder's last block, whose output is not used": rf".+\.resblocks\.{LAYERS}\..+",
    }

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The architecture in the modelspec specification."""
        return "stable-diffusion-v2-768-v" if prediction == "v_prediction" else "stable-diffusion-v2-512"

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """{"context": [B, 77·k, 1024]}: the output of OpenCLIP's 23rd layer, after the final layer norm."""
        ids = padded_with(token_ids.reshape(-1, ROW), PAD)
        return {"context": join_windows(self._encoded("text_encoder", ids).last_hidden_state, token_ids)}

    @classmethod
    def _text_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """The key table of OpenCLIP ViT-H's layers in use, under the prefix that the file uses."""
        prefix = first_prefix_in(OPEN_CLIP_PREFIXES, shapes)
        blocks = count_numbered(shapes, prefix + "transformer.resblocks.{}.ln_1.weight")
        table = open_clip_table(prefix, min(blocks, LAYERS))
        # The projection serves text-image similarity, which Stable Diffusion 2 does not use.
        return {"text_encoder": table.without("text_projection.weight")}

    def _text_activations(self) -> dict[str, str]:
        """OpenCLIP ViT-H's activation."""
        return {"text_encoder": "gelu"}

    @classmethod
    def prediction_type(cls, source: Source, asked: str | None) -> Prediction:
        """The prediction type: the requested or declared one, else the one that the weights show.

        Raises CheckpointError where they do not show it.
        """
        return prediction_of_sd2(source, asked)

    @classmethod
    def marker_tensors(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """No tensors: hosts recognise the prediction type by the weights."""
        return {}

    @classmethod
    def native_resolution(cls, source: Source, prediction: str | None) -> int:
        """The resolution of the pretraining in pixels a side: 768 for v models, else 512."""
        return 768 if cls.prediction_type(source, prediction) == "v_prediction" else cls.resolution
