"""A diffusion transformer of PixArt's shape, trained by flow matching, with a text encoder that is an embedding table.

No family of the trainer is a diffusion transformer, yet ComfyUI's newer models are, and a machine may be fast at one
and slow at the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, PixArtTransformer2DModel
from torch import Tensor, nn
from transformers import ByT5Tokenizer

from ..trainer.files.safetensors import Shapes
from ..trainer.model.base import Base, Conditioning, Posterior
from ..trainer.model.keys import Components, KeyTable
from .full_size import SMALL_VAE, VAE_CONFIG

PREFIXES = {"denoiser": "model.diffusion_model.", "text_encoder": "text_encoders.bytes.", "vae": "first_stage_model."}
TIMES = 1000
LONGEST, PADDING, BYTES = 120, 0, 384
"""Tokens of a prompt, the padding's id, and the size of ByT5's vocabulary."""
UNCONDITIONED = {"resolution": None, "aspect_ratio": None}


@dataclass(frozen=True)
class Flow:
    """Flow matching: z_t = (1 − t)·x + t·ε for t in 0..1, given to the denoiser as 0..1000; the target is ε − x."""

    def to(self, device: torch.device) -> Flow:
        """Itself: it has no tensors to move."""
        return self

    def draw_timesteps(self, uniform: Tensor, size: torch.Size | None = None) -> Tensor:
        """Logit-normal timesteps [B] in 0..1000."""
        return TIMES * torch.sigmoid(torch.special.ndtri(uniform.clamp(1e-4, 1 - 1e-4)))

    def add_noise(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """z_t = (1 − t)·x + t·ε."""
        t = (timesteps / TIMES).view(-1, 1, 1, 1)
        return (1 - t) * x + t * noise

    def target(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """ε − x."""
        return noise - x

    def signal_to_noise(self, timesteps: Tensor) -> Tensor:
        """((1 − t) / t)² [B]."""
        t = timesteps / TIMES
        return ((1 - t) / t) ** 2

    def image_error(self, timesteps: Tensor) -> Tensor:
        """The factor t² [B] from the squared error of v to that of x̂ = z − t·v."""
        return (timesteps / TIMES) ** 2


class ByteEncoder(nn.Module):
    """A text encoder: a vector for each byte, [B, L] → [B, L, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(BYTES, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, token_ids: Tensor) -> Tensor:
        """The vectors."""
        answer: Tensor = self.norm(self.embed(token_ids))
        return answer


class DiT(Base):
    """The family: transformer, byte encoder, Stable Diffusion's VAE. small: two narrow blocks."""

    family: ClassVar[str] = "dit"
    sampler: ClassVar[str] = "euler"
    small: ClassVar[bool] = False

    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        modules = new_modules(self.small)
        for name, module in modules.items():
            _fill(module, tensors[name], dtype if name == "denoiser" else torch.float32)
        self.denoiser, self.vae = modules["denoiser"], modules["vae"]
        self.text_encoders = {"text_encoder": modules["text_encoder"]}
        self.tokenizer = ByT5Tokenizer()
        self.noise_process = Flow()

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """A name of its own: the modelspec specification has none for this model."""
        return "dit"

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """By PixArt's modulation layer."""
        return f"{PREFIXES['denoiser']}adaln_single.linear.weight" in shapes

    @classmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """Names are left unchanged but for the component's prefix."""
        return {
            name: KeyTable(prefix, tuple((key[len(prefix) :],) * 2 for key in shapes if key.startswith(prefix)))
            for name, prefix in PREFIXES.items()
        }

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """A token for each byte, padded to 120."""
        words = {"padding": "max_length", "max_length": LONGEST, "truncation": True, "return_tensors": "pt"}
        ids: Tensor = self.tokenizer(list(prompts), **words).input_ids
        return ids

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """{"text": [B, 120, width], "mask": [B, 120]}."""
        mask = token_ids != PADDING
        return {"text": self.text_encoders["text_encoder"](token_ids), "mask": mask}

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """v = ε − x."""
        told = {"encoder_attention_mask": conditioning["mask"], "added_cond_kwargs": UNCONDITIONED}
        answer: Tensor = self.denoiser(
            noisy, conditioning["text"], timestep=timesteps, **told, return_dict=False
        )[0]  # fmt: skip
        return answer

    def encode_images(self, pixels: Tensor) -> Posterior:
        """The VAE's posterior."""
        posterior = self.vae.encode(pixels * 2 - 1).latent_dist
        return Posterior(posterior.mean, posterior.std)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels in 0..1."""
        pixels: Tensor = (self.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
        return pixels

    def scheduler(self, sampler: str) -> Any:
        """diffusers' flow-matching Euler scheduler."""
        return {"euler": FlowMatchEulerDiscreteScheduler}[sampler]()

    @classmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """The projections of the attention layers."""
        return r"to_[qkv]|to_out\.0"


class SmallDiT(DiT):
    """The same with two narrow blocks."""

    small: ClassVar[bool] = True


def new_modules(small: bool) -> dict[str, Any]:
    """{component: module without weights}. Not small: 0.6 billion parameters in the transformer, PixArt's."""
    heads, width, layers, text = (2, 32, 2, 64) if small else (16, 72, 28, 4096)
    with init_empty_weights():
        transformer = PixArtTransformer2DModel(
            num_attention_heads=heads, attention_head_dim=width, in_channels=4, out_channels=4, num_layers=layers,
            sample_size=64, patch_size=2, cross_attention_dim=heads * width, caption_channels=text,
            use_additional_conditions=False,
        )  # fmt: skip
        vae = AutoencoderKL(**(VAE_CONFIG | (SMALL_VAE if small else {})))
        return {"denoiser": transformer, "text_encoder": ByteEncoder(text), "vae": vae}


def dit_shapes(small: bool) -> Shapes:
    """{name: shape} of a checkpoint."""
    modules = new_modules(small)
    return {
        f"{PREFIXES[name]}{key}": tuple(tensor.shape)
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def _fill(module: nn.Module, tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Give the module these weights. dtype: of linear layers and convolutions; all else is float32."""
    layers = {name for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    own = {
        key: tensor.to(dtype if key.rpartition(".")[0] in layers else torch.float32) for key, tensor in tensors.items()
    }
    module.load_state_dict(own, assign=True)
