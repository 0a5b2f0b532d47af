"""What identifies a Stable Diffusion model of any version by its weights' shapes, and its components' names."""

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
from .keys import DENOISER, IGNORABLE, MARKER_KEYS, VAE, denoiser_table, vae_table
from .parts import latent_diffusion_parts
from .prediction import EDM, declared_prediction, prediction_of, zero_terminal_snr
from .unet_shape import unet_shape

ATTENTION = r"to_[qkv]|to_out\.0"
"""A pattern of the attention projections' names; those below are patterns of layers too."""
TRANSFORMER = rf"{ATTENTION}|attentions\.\d+\.proj_(?:in|out)|ff\.net\.0\.proj|ff\.net\.2"
RESNET = r"conv1|conv2|conv_shortcut|time_emb_proj|samplers\.0\.conv"
DENOISER_TARGETS = {
    "attention": ATTENTION,
    "transformer": TRANSFORMER,
    "transformer_and_resnet": f"{TRANSFORMER}|{RESNET}",
}
"""{value of `TrainOptions.targets`: a pattern of the denoiser's layers}."""
TEXT_TARGETS = r"[qkv]_proj|out_proj|fc1|fc2"
"""A pattern of a text encoder's layers."""


class LatentDiffusionFamily(Family):
    """The class-level facts of Stable Diffusion models, which need no weights in memory."""

    takes_words: ClassVar[bool] = True
    vocabulary: ClassVar[type[Vocabulary] | None] = ClipVocabulary
    embeddings: ClassVar[tuple[str, ...]] = ("token_embedding", "position_embedding")
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {
        ("ModelSamplingDiscrete", "EPS"): "epsilon",
        ("ModelSamplingDiscrete", "V_PREDICTION"): "v_prediction",
    }
    pad_tokens: ClassVar[dict[str, str]]
    """{text encoder: the token that its tokenizer pads with}."""
    context: ClassVar[int]
    """The width of the text conditioning: cross-attention's input channels."""
    latent_scale: ClassVar[float] = 0.18215
    """The factor between the VAE's latents and the denoiser's."""
    ignorable: ClassVar[dict[str, str]] = IGNORABLE
    label: ClassVar[str] = ""
    """The start of the names of what encodes a conditioning besides the prompt: SDXL's on image sizes, an upscaler's on
    the noise level; empty: there is none.
    """
    shown_channels: ClassVar[int] = 0
    """Channels that the denoiser is shown beside the noisy latents."""

    @classmethod
    def parts(cls, files: PartFiles) -> tuple[Part, ...] | None:
        """The components in several files, each in either layout; None where the denoiser is not a UNet."""
        return latent_diffusion_parts(files)

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether these are the tensors of a UNet with this family's channels, context width and label, and of its text
        encoders under their names.
        """
        contexts = {shape[1] for key, shape in shapes.items() if _is_context(key)}
        labels = {key.removeprefix(DENOISER) for key in shapes if key.startswith(f"{DENOISER}label_emb.")}
        told = any(key.startswith(cls.label) for key in labels) if cls.label else not labels
        texts = [table.prefix for table in cls._text_tables(shapes).values()]
        named = all(any(key.startswith(prefix) for key in shapes) for prefix in texts)
        return contexts == {cls.context} and cls._fits(shapes) and told and named

    @classmethod
    def _fits(cls, shapes: Shapes) -> bool:
        """Whether the denoiser's inputs and outputs are the latents, with what this family is shown beside them.

        An inpainting, depth or editing model has other input channels.
        """
        shown = shapes.get(f"{DENOISER}input_blocks.0.0.weight", (0, 0))[1]
        answered = shapes.get(f"{DENOISER}out.2.weight", (0,))[0]
        return (shown, answered) == (cls.latent_channels + cls.shown_channels, cls.latent_channels)

    @classmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{component: KeyTable} for a checkpoint with these tensors."""
        shape = unet_shape(shapes, DENOISER)
        return {
            "denoiser": denoiser_table(DENOISER, shape.blocks, shape.labels > 0),
            **cls._text_tables(shapes),
            "vae": vae_table(VAE, *_vae_size(shapes)),
        }

    @classmethod
    @abstractmethod
    def _text_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{text encoder: KeyTable}."""

    @classmethod
    def prediction_type(cls, source: Source, asked: str | None) -> Prediction:
        """The prediction type: the requested one, else the one that the model declares, else ε.

        Raises CheckpointError for a type that cannot be trained.
        """
        return prediction_of(source, asked)

    @classmethod
    def marker_tensors(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """The empty tensors `v_pred` and `ztsnr`, as far as they apply to the model and its source lacks them.

        None for EDM models, which have markers of their own.
        """
        if declared_prediction(source) == EDM:
            return {}
        holds = cls.prediction_type(source, asked) == "v_prediction", zero_terminal_snr(source)
        said = [mark for mark, is_so in zip(MARKER_KEYS, holds, strict=True) if is_so]
        return {mark: torch.zeros(0) for mark in said if mark not in source.shapes}

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """Our name; in a text encoder after `text_model.`, as in transformers 4, except for the projection."""
        bare = component in ("denoiser", "vae") or name.startswith("text_projection")
        return name if bare else f"text_model.{name}"

    @classmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """A regular expression for the layers that get a LoRA. targets: a value of `TrainOptions.targets`, which
        applies to the denoiser; in a text encoder it is all linear layers of its blocks.
        """
        return DENOISER_TARGETS[targets] if component == "denoiser" else TEXT_TARGETS


def _is_context(key: str) -> bool:
    """Whether a key is the weight that projects the text conditioning to attention keys."""
    return key.startswith(DENOISER) and key.endswith("attn2.to_k.weight")


def _vae_size(shapes: Shapes) -> tuple[int, int]:
    """The residual blocks of an encoder level and the levels of a VAE; of the half that is there, where one is not."""
    levels = {key.split(".")[3] for key in shapes if key.startswith((f"{VAE}encoder.down.", f"{VAE}decoder.up."))}
    down, up = (
        {key.split(".")[5] for key in shapes if key.startswith(f"{VAE}{half}.0.block.")}
        for half in ("encoder.down", "decoder.up")
    )
    return len(down) or max(0, len(up) - 1), len(levels)
