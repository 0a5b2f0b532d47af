"""What all Stable Diffusion models share: a UNet over the latents of a KL autoencoder, CLIP beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..base import Base, Conditioning, Posterior
from ..checkpoint import Shapes
from ..fingerprint import component_tensors, fingerprint
from ..keys import KeyTable
from ..noise_process import Diffusion, Prediction
from ..part import Part, PartFiles
from ..rare_tokens import ClipVocabulary, Vocabulary
from ..source import Source
from .latent_diffusion_keys import DENOISER, MARKS, VAE, denoiser_table, vae_table
from .latent_diffusion_parts import latent_diffusion_parts
from .modules import build_clip, build_denoiser, build_vae, clip_tokenizer, write_clip_tokenizer
from .noise_schedule import alphas_cumprod, new_scheduler
from .prediction import prediction_of, zero_terminal_snr
from .prompts import ROW, token_rows
from .unet_shape import UNetShape, unet_shape

ATTENTION = r"to_[qkv]|to_out\.0"
TRANSFORMER = rf"{ATTENTION}|attentions\.\d+\.proj_(?:in|out)|ff\.net\.0\.proj|ff\.net\.2"
RESNET = r"conv1|conv2|conv_shortcut|time_emb_proj|samplers\.0\.conv"
DENOISER_TARGETS = {
    "attention": ATTENTION,
    "transformer": TRANSFORMER,
    "transformer_and_resnet": f"{TRANSFORMER}|{RESNET}",
}
ONE_TEXT_ENCODER = {
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
}
"""What the pipelines of one text encoder list beside the rest, and we do not have."""
TEXT_TARGETS = r"[qkv]_proj|out_proj|fc1|fc2"


class LatentDiffusion(Base):
    """A Stable Diffusion of any version, with any number of levels and blocks."""

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

    def __init__(self, source: Source, prediction: str | None = None, dtype: torch.dtype = torch.float32) -> None:
        shape = unet_shape(source.shapes, DENOISER)
        self.source = source
        self.tables = self.key_tables(source.shapes)
        tensors = component_tensors(source, self.tables)
        self.fingerprint = fingerprint(tensors)
        config = shape.config(self._heads(shape)) | {"sample_size": self.resolution // self.pixels_per_latent}
        self.denoiser = build_denoiser(tensors["denoiser"], config, dtype)
        self.text_encoders = {
            name: build_clip(tensors[name], activation) for name, activation in self._text_activations().items()
        }
        self.vae = build_vae(tensors["vae"], self.latent_scale)
        self.tokenizer = clip_tokenizer()
        self.prediction = self.answers(source, prediction)
        self.zero_snr = zero_terminal_snr(source)
        self.process = Diffusion(alphas_cumprod(self.zero_snr), self.prediction)
        self.freeze()

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

    @abstractmethod
    def _text_activations(self) -> dict[str, str]:
        """{text encoder: its activation}, which no weight shows."""

    def _heads(self, shape: UNetShape) -> int | tuple[int, ...]:
        return shape.heads_of_64

    @classmethod
    def answers(cls, source: Source, asked: str | None) -> Prediction:
        """ε or v: as asked, else as the model shows. Raises CheckpointError where it does not."""
        return prediction_of(source, asked)

    @classmethod
    def marks(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """`v_pred` and `ztsnr` where they hold and are not there."""
        holds = cls.answers(source, asked) == "v_prediction", zero_terminal_snr(source)
        said = [mark for mark, is_so in zip(MARKS, holds, strict=True) if is_so]
        return {mark: torch.zeros(0) for mark in said if mark not in source.shapes}

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids int64 [B, 77·k]: k rows of 75 tokens for the longest prompt; see `token_rows`."""
        return token_rows(self.tokenizer, prompts)

    def _encoded(self, name: str, token_ids: Tensor) -> Any:
        """transformers' answer for ids [B, 77·k], as [B·k, 77], with all hidden states."""
        return self.text_encoders[name](token_ids.reshape(-1, ROW), output_hidden_states=True)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's answer, the shape of `noisy`."""
        return self.denoiser(noisy, timesteps, conditioning["context"], return_dict=False)[0]

    def encode_images(self, pixels: Tensor) -> Posterior:
        """The KL posterior of pixels [B, 3, H, W] in 0..1, times the latents' scale."""
        posterior = self.vae.encode(pixels * 2 - 1).latent_dist
        return Posterior(posterior.mean * self.latent_scale, posterior.std * self.latent_scale)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1."""
        return (self.vae.decode(latents / self.latent_scale).sample / 2 + 0.5).clamp(0, 1)

    def scheduler(self, sampler: str) -> Any:
        """Stable Diffusion's schedule, with this model's prediction type."""
        return new_scheduler(sampler, self.prediction, self.zero_snr)

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """transformers 4's, which says `text_model.` of all but the projection."""
        bare = component in ("denoiser", "vae") or name.startswith("text_projection")
        return name if bare else f"text_model.{name}"

    def save_tokenizer(self, component: str, folder: Path) -> str:
        """CLIP's, with this text encoder's padding."""
        length = self.text_encoders[component].config.max_position_embeddings
        return write_clip_tokenizer(folder, length, self.pad_tokens[component])

    @classmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """Layers by the words of `TrainOptions.targets`; in a text encoder, all linear layers of its blocks."""
        return DENOISER_TARGETS[targets] if component == "denoiser" else TEXT_TARGETS


def side_by_side(rows: Tensor, like: Tensor) -> Tensor:
    """Answers [B·k, 77, C] as [B, 77·k, C], for token ids [B, 77·k]."""
    return rows.reshape(len(like), -1, rows.shape[-1])


def _is_context(key: str) -> bool:
    return key.startswith(DENOISER) and key.endswith("attn2.to_k.weight")
