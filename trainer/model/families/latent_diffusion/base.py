"""The model that all Stable Diffusion versions share: a UNet on the latents of a KL autoencoder, with CLIP text
encoders.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
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
from .noise_schedule import SCHEDULE, alphas_cumprod, new_scheduler
from .prediction import zero_terminal_snr
from .unet_shape import UNetShape, unet_shape


class LatentDiffusion(LatentDiffusionFamily, Base):
    """A Stable Diffusion model of any version, with any number of levels and blocks."""

    schedule: ClassVar[Mapping[str, Any]] = SCHEDULE
    """The β schedule, as diffusers' schedulers take it."""

    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        """Create all components from the source's tensors, with the architecture that their shapes show."""
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
        self.noise_process = Diffusion(alphas_cumprod(self.zero_snr, self.schedule), self.prediction)

    @abstractmethod
    def _text_activations(self) -> dict[str, str]:
        """{text encoder: the activation of its MLPs}, which the weights do not show."""

    def _heads(self, shape: UNetShape) -> int | tuple[int, ...]:
        """The number of attention heads per level; by default heads of 64 channels."""
        return shape.heads_of_64

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids int64 [B, 77·k]: k rows of 75 tokens each, for the longest prompt; see `token_rows`."""
        return token_rows(self.tokenizer, prompts, self.words)

    def _encoded(self, name: str, token_ids: Tensor) -> Any:
        """The output of a transformers text encoder for ids [B, 77·k], computed as [B·k, 77], with all
        hidden states.
        """
        return self.text_encoders[name](token_ids.reshape(-1, ROW), output_hidden_states=True)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's prediction, in the shape of `noisy`."""
        return self.denoiser(noisy, timesteps, conditioning["context"], return_dict=False)[0]

    def encode_images(self, pixels: Tensor) -> Posterior:
        """The KL posterior of pixels [B, 3, H, W] in 0..1, multiplied by the latent scale."""
        posterior = self.vae.encode(pixels * 2 - 1).latent_dist
        return Posterior(posterior.mean * self.latent_scale, posterior.std * self.latent_scale)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1 for latents in the denoiser's scale."""
        return (self.vae.decode(latents / self.latent_scale).sample / 2 + 0.5).clamp(0, 1)

    def scheduler(self, sampler: str) -> Any:
        """A diffusers scheduler with Stable Diffusion's noise schedule and this model's prediction type.
        Raises KeyError.
        """
        return new_scheduler(sampler, self.prediction, self.zero_snr, self.schedule)

    def save_tokenizer(self, component: str, folder: Path) -> str:
        """Write CLIP's tokenizer with this text encoder's padding into `folder`; returns its class in transformers."""
        length = self.text_encoders[component].config.max_position_embeddings
        return write_clip_tokenizer(folder, length, self.pad_tokens[component])


def join_windows(rows: Tensor, like: Tensor) -> Tensor:
    """Text encoder outputs [B·k, 77, C] of the k rows of a prompt, concatenated to [B, 77·k, C].

    like: the token ids [B, 77·k].
    """
    return rows.reshape(len(like), -1, rows.shape[-1])


class OneTextEncoder(LatentDiffusion):
    """A Stable Diffusion with a single text encoder (1.x, 2.x): its components' names in kohya's files and diffusers'
    folders.
    """

    kohya: ClassVar[dict[str, str]] = {"denoiser": "lora_unet_", "text_encoder": "lora_te_"}
    diffusers: ClassVar[dict[str, str]] = {"denoiser": "unet", "text_encoder": "text_encoder", "vae": "vae"}
    pipeline: ClassVar[str] = "StableDiffusionPipeline"
    pipeline_index: ClassVar[dict[str, Any]] = {
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
