"""What all Stable Diffusion models share: a UNet over the latents of a KL autoencoder, CLIP beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...base import Base, Conditioning, Posterior
from ...keys import Components
from ...noise_process import Diffusion
from .build import build_clip, build_denoiser, build_vae, clip_tokenizer, write_clip_tokenizer
from .clip_prompts import ROW, token_rows
from .family import LatentDiffusionFamily
from .keys import DENOISER
from .noise_schedule import alphas_cumprod, new_scheduler
from .prediction import zero_terminal_snr
from .unet_shape import UNetShape, unet_shape


class LatentDiffusion(LatentDiffusionFamily, Base):
    """A Stable Diffusion of any version, with any number of levels and blocks."""

    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        source = self.source
        shape = unet_shape(source.shapes, DENOISER)
        pixels = self.native_resolution(source, prediction)
        config = shape.config(self._heads(shape)) | {"sample_size": pixels // self.pixels_per_latent}
        self.denoiser = build_denoiser(tensors["denoiser"], config, dtype)
        self.text_encoders = {
            name: build_clip(tensors[name], activation) for name, activation in self._text_activations().items()
        }
        self.vae = build_vae(tensors["vae"], self.latent_scale)
        self.tokenizer = clip_tokenizer()
        self.prediction = self.prediction_type(source, prediction)
        self.zero_snr = zero_terminal_snr(source)
        self.noise_process = Diffusion(alphas_cumprod(self.zero_snr), self.prediction)

    @abstractmethod
    def _text_activations(self) -> dict[str, str]:
        """{text encoder: its activation}, which no weight shows."""

    def _heads(self, shape: UNetShape) -> int | tuple[int, ...]:
        return shape.heads_of_64

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

    def save_tokenizer(self, component: str, folder: Path) -> str:
        """CLIP's, with this text encoder's padding."""
        length = self.text_encoders[component].config.max_position_embeddings
        return write_clip_tokenizer(folder, length, self.pad_tokens[component])


def side_by_side(rows: Tensor, like: Tensor) -> Tensor:
    """Answers [B·k, 77, C] as [B, 77·k, C], for token ids [B, 77·k]."""
    return rows.reshape(len(like), -1, rows.shape[-1])


class OneTextEncoder(LatentDiffusion):
    """The names of its parts in kohya's files and diffusers' folders."""

    kohya: ClassVar[dict[str, str]] = {"denoiser": "lora_unet_", "text_encoder": "lora_te_"}
    diffusers: ClassVar[dict[str, str]] = {"denoiser": "unet", "text_encoder": "text_encoder", "vae": "vae"}
    pipeline: ClassVar[str] = "StableDiffusionPipeline"
    pipeline_index: ClassVar[dict[str, Any]] = {
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
