"""Stable Diffusion 1.x: CLIP ViT-L's last layer, ε- or v-prediction, four latent channels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from ..base import Base, Conditioning, Posterior, component_tensors, fingerprint
from ..checkpoint import Shapes, read_shapes
from ..denoiser import Diffusion, Prediction
from ..keys import KeyTable, denoiser_table, text_table, vae_table
from .modules import build_clip, build_denoiser, build_vae, clip_tokenizer
from .unet_shape import unet_shape

DENOISER = "model.diffusion_model."
TEXT = "cond_stage_model.transformer.text_model."
VAE = "first_stage_model."
HEADS = 8
LATENT_SCALE = 0.18215
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}

log = logging.getLogger(__name__)


class StableDiffusion1(Base):
    """An SD 1.x checkpoint in the original layout, with any number of levels and blocks."""

    family: ClassVar[str] = "sd1"
    architecture: ClassVar[str] = "stable-diffusion-v1"
    prefixes: ClassVar[dict[str, str]] = {"denoiser": DENOISER, "text_encoder": TEXT}
    kohya: ClassVar[dict[str, str]] = {"denoiser": "lora_unet_", "text_encoder": "lora_te_text_model_"}
    kohya_by_original: ClassVar[bool] = False
    kohya_version: ClassVar[str] = "sd_v1"
    diffusers: ClassVar[dict[str, str]] = {"denoiser": "unet", "text_encoder": "text_encoder", "vae": "vae"}
    pipeline: ClassVar[str] = "StableDiffusionPipeline"
    pad_tokens: ClassVar[dict[str, str]] = {"text_encoder": "<|endoftext|>"}

    def __init__(self, path: Path) -> None:
        shapes = read_shapes(path)
        shape = unet_shape(shapes, DENOISER)
        self.source = path
        self.tables = self.key_tables(shapes)
        tensors = component_tensors(path, self.tables)
        self.fingerprint = fingerprint(tensors)
        self.denoiser = build_denoiser(tensors["denoiser"], shape, HEADS)
        self.text_encoders = {"text_encoder": build_clip(tensors["text_encoder"], "quick_gelu")}
        self.vae = build_vae(_vae_as_linear(tensors["vae"]), LATENT_SCALE)
        self.tokenizer = clip_tokenizer()
        self.prediction: Prediction = "v_prediction" if "v_pred" in shapes else "epsilon"
        self.process = Diffusion(DDPMScheduler(**SCHEDULE).alphas_cumprod, self.prediction)
        self.freeze()

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """A UNet with 768-wide context, CLIP-L under SD 1's name, no vector conditioning."""
        contexts = {shape[1] for key, shape in shapes.items() if _is_context(key)}
        has_clip = f"{TEXT}embeddings.token_embedding.weight" in shapes
        return contexts == {768} and has_clip and f"{DENOISER}label_emb.0.0.weight" not in shapes

    @classmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """The names of a file with these tensors."""
        shape = unet_shape(shapes, DENOISER)
        levels = {key.split(".")[3] for key in shapes if key.startswith(f"{VAE}encoder.down.")}
        blocks = {key.split(".")[5] for key in shapes if key.startswith(f"{VAE}encoder.down.0.block.")}
        return {
            "denoiser": denoiser_table(DENOISER, shape.blocks, shape.attention),
            "text_encoder": text_table(TEXT),
            "vae": vae_table(VAE, len(blocks), len(levels)),
        }

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids int64 [B, 77]; a longer prompt is cut, and the log says where."""
        for prompt in prompts:
            ids = self.tokenizer(prompt, add_special_tokens=False).input_ids
            if len(ids) > 75:
                log.warning("75 of a prompt's %d tokens count: …%s", len(ids), self.tokenizer.decode(ids[65:75]))
        padded = self.tokenizer(list(prompts), padding="max_length", truncation=True, max_length=77)
        return torch.tensor(padded.input_ids)

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """{"context": [B, 77, 768]}: CLIP's last layer, normalised."""
        return {"context": self.text_encoders["text_encoder"](token_ids).last_hidden_state}

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's answer, the shape of `noisy`."""
        return self.denoiser(noisy, timesteps, conditioning["context"], return_dict=False)[0]

    def encode_images(self, pixels: Tensor) -> Posterior:
        """The KL posterior of pixels [B, 3, H, W] in 0..1, times 0.18215."""
        posterior = self.vae.encode(pixels * 2 - 1).latent_dist
        return Posterior(posterior.mean * LATENT_SCALE, posterior.std * LATENT_SCALE)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1."""
        return (self.vae.decode(latents / LATENT_SCALE).sample / 2 + 0.5).clamp(0, 1)

    def scheduler_config(self) -> dict[str, Any]:
        """SD 1's schedule, with this checkpoint's prediction type."""
        return {**SCHEDULE, "prediction_type": self.prediction, "steps_offset": 1}


def _is_context(key: str) -> bool:
    return key.startswith(DENOISER) and key.endswith("attn2.to_k.weight")


def _vae_as_linear(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The middle attention's 1x1 convolutions [C, C, 1, 1] are linear layers [C, C] in diffusers."""
    return {k: t.flatten(1) if ".attentions." in k and t.ndim == 4 else t for k, t in tensors.items()}
