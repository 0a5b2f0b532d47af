"""How a Stable Diffusion of any version is told by its weights, and what its parts are called."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ....files.safetensors import Shapes
from ....subject.rare_tokens import ClipVocabulary, Vocabulary
from ...family import Family
from ...keys import KeyTable
from ...noise_process import Prediction
from ...source import Part, PartFiles, Source
from .keys import DENOISER, MARKS, VAE, denoiser_table, vae_table
from .parts import latent_diffusion_parts
from .prediction import EDM, declared_prediction, prediction_of, zero_terminal_snr
from .unet_shape import unet_shape

ATTENTION = r"to_[qkv]|to_out\.0"
TRANSFORMER = rf"{ATTENTION}|attentions\.\d+\.proj_(?:in|out)|ff\.net\.0\.proj|ff\.net\.2"
RESNET = r"conv1|conv2|conv_shortcut|time_emb_proj|samplers\.0\.conv"
DENOISER_TARGETS = {
    "attention": ATTENTION,
    "transformer": TRANSFORMER,
    "transformer_and_resnet": f"{TRANSFORMER}|{RESNET}",
}
TEXT_TARGETS = r"[qkv]_proj|out_proj|fc1|fc2"


class LatentDiffusionFamily(Family):
    """What needs no weights in memory."""

    vocabulary: ClassVar[type[Vocabulary] | None] = ClipVocabulary
    embeddings: ClassVar[tuple[str, ...]] = ("token_embedding", "position_embedding")
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {
        ("ModelSamplingDiscrete", "EPS"): "epsilon",
        ("ModelSamplingDiscrete", "V_PREDICTION"): "v_prediction",
    }
    pad_tokens: ClassVar[dict[str, str]]
    """{text encoder: what its tokenizer pads with}."""
    context: ClassVar[int]
    """Width of the text encoders' answer."""
    latent_scale: ClassVar[float] = 0.18215
    told_sizes: ClassVar[bool] = False
    """Whether the denoiser is told a vector beside the prompt."""

    @classmethod
    def parts(cls, files: PartFiles) -> tuple[Part, ...] | None:
        """Either layout of each part; None where the denoiser is no UNet."""
        return latent_diffusion_parts(files)

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """A UNet with this family's context over four latent channels, and its text encoders under their names."""
        contexts = {shape[1] for key, shape in shapes.items() if _is_context(key)}
        told = any(key.startswith(f"{DENOISER}label_emb.") for key in shapes)
        texts = [table.prefix for table in cls._text_tables(shapes).values()]
        named = all(any(key.startswith(prefix) for key in shapes) for prefix in texts)
        return contexts == {cls.context} and cls._is_plain(shapes) and told == cls.told_sizes and named

    @classmethod
    def _is_plain(cls, shapes: Shapes) -> bool:
        """A denoiser that is shown more than its latents (a mask, a depth, a picture to edit) has more channels."""
        shown = shapes.get(f"{DENOISER}input_blocks.0.0.weight", (0, 0))[1]
        answered = shapes.get(f"{DENOISER}out.2.weight", (0,))[0]
        return shown == answered == cls.latent_channels

    @classmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """The names of a file with these tensors."""
        shape = unet_shape(shapes, DENOISER)
        levels = {key.split(".")[3] for key in shapes if key.startswith(f"{VAE}encoder.down.")}
        blocks = {key.split(".")[5] for key in shapes if key.startswith(f"{VAE}encoder.down.0.block.")}
        return {
            "denoiser": denoiser_table(DENOISER, shape.blocks, shape.attention),
            **cls._text_tables(shapes),
            "vae": vae_table(VAE, len(blocks), len(levels)),
        }

    @classmethod
    @abstractmethod
    def _text_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{text encoder: its names}."""

    @classmethod
    def prediction_type(cls, source: Source, asked: str | None) -> Prediction:
        """ε or v: as asked, else as the model shows. Raises CheckpointError where it does not."""
        return prediction_of(source, asked)

    @classmethod
    def marker_tensors(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """`v_pred` and `ztsnr` where they hold and are not there; EDM's models have marks of their own."""
        if declared_prediction(source) == EDM:
            return {}
        holds = cls.prediction_type(source, asked) == "v_prediction", zero_terminal_snr(source)
        said = [mark for mark, is_so in zip(MARKS, holds, strict=True) if is_so]
        return {mark: torch.zeros(0) for mark in said if mark not in source.shapes}

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """transformers 4's, which says `text_model.` of all but the projection."""
        bare = component in ("denoiser", "vae") or name.startswith("text_projection")
        return name if bare else f"text_model.{name}"

    @classmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """Layers by the words of `TrainOptions.targets`; in a text encoder, all linear layers of its blocks."""
        return DENOISER_TARGETS[targets] if component == "denoiser" else TEXT_TARGETS


def _is_context(key: str) -> bool:
    return key.startswith(DENOISER) and key.endswith("attn2.to_k.weight")
