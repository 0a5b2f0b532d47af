"""A family that shares nothing with Stable Diffusion: a flow-matching DiT, told masked text by a T5. One new file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, PixArtTransformer2DModel
from torch import Tensor
from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

from dreambooth_nodes.machine_check.dit import Flow
from dreambooth_nodes.tests.trainer.model.families.small import new_vae
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, Shapes, write_tensors
from dreambooth_nodes.trainer.model.base import Base, Conditioning, Posterior
from dreambooth_nodes.trainer.model.keys import Components, KeyTable
from dreambooth_nodes.trainer.model.source import Part, PartFiles, file_shapes

PREFIXES = {"denoiser": "model.diffusion_model.", "text_encoder": "text_encoders.t5.", "vae": "vae."}
SCALE, SHIFT = 1.5, 0.1
PADDING, LONGEST = 0, 48
UNTOLD = {"resolution": None, "aspect_ratio": None}


class TinyFlow(Base):
    """A PixArt transformer over the small VAE's latents, shifted and scaled."""

    family: ClassVar[str] = "tiny-flow"
    sampler: ClassVar[str] = "euler"
    kohya: ClassVar[dict[str, str]] = {"denoiser": "lora_unet_", "text_encoder": "lora_te_"}
    diffusers: ClassVar[dict[str, str]] = {"denoiser": "transformer", "text_encoder": "text_encoder", "vae": "vae"}
    comfyui: ClassVar[dict[str, str]] = {"denoiser": "diffusion_model.", "text_encoder": "t5.transformer."}
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {("ModelSamplingDiscreteFlow", "CONST"): "flow"}
    embeddings: ClassVar[tuple[str, ...]] = ("shared", "embed_tokens", "relative_attention_bias")

    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        modules = new_modules()
        for name, module in modules.items():
            module.load_state_dict({key: tensor.float() for key, tensor in tensors[name].items()})
        self.denoiser, self.vae = modules["denoiser"], modules["vae"]
        self.text_encoders = {"text_encoder": modules["text_encoder"]}
        self.tokenizer = ByT5Tokenizer()
        self.noise_process = Flow()

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        return "tiny-flow"

    @classmethod
    def parts(cls, files: PartFiles) -> tuple[Part, ...] | None:
        if not any(key.endswith("adaln_single.linear.weight") for key in file_shapes(files.denoiser)):
            return None
        if len(files.text_encoders) != 1 or "shared.weight" not in file_shapes(files.text_encoders[0]):
            raise CheckpointError(f"{files.denoiser[0].name!r} needs one text encoder, a T5.")
        given = {"denoiser": files.denoiser, "text_encoder": files.text_encoders[0], "vae": files.vae}
        return tuple(Part(own, PREFIXES[name], partial(original_names, PREFIXES[name])) for name, own in given.items())

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        return f"{PREFIXES['denoiser']}adaln_single.linear.weight" in shapes

    @classmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        return {
            name: KeyTable(
                prefix, tuple((key, key) for key in {k[len(prefix) :] for k in shapes if k.startswith(prefix)})
            )
            for name, prefix in PREFIXES.items()
        }

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        return self.tokenizer(
            list(prompts), padding="max_length", max_length=LONGEST, truncation=True, return_tensors="pt"
        ).input_ids

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        mask = token_ids != PADDING
        return {"text": self.text_encoders["text_encoder"](token_ids, mask).last_hidden_state, "mask": mask}

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        told = {"encoder_attention_mask": conditioning["mask"], "added_cond_kwargs": UNTOLD}
        return self.denoiser(noisy, conditioning["text"], timestep=timesteps, **told, return_dict=False)[0]

    def encode_images(self, pixels: Tensor) -> Posterior:
        posterior = self.vae.encode(pixels * 2 - 1).latent_dist
        return Posterior((posterior.mean - SHIFT) * SCALE, posterior.std * SCALE)

    def decode_latents(self, latents: Tensor) -> Tensor:
        return (self.vae.decode(latents / SCALE + SHIFT).sample / 2 + 0.5).clamp(0, 1)

    def scheduler(self, sampler: str) -> Any:
        return {"euler": FlowMatchEulerDiscreteScheduler}[sampler]()

    @classmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        return r"to_[qkv]|to_out\.0" if component == "denoiser" else r"SelfAttention\.[qkvo]"


def original_names(prefix: str, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Own names behind the prefix; what T5 has twice, transformers writes once."""
    named = {prefix + key.removeprefix(prefix): tensor for key, tensor in found.items()}
    shared = named.get(f"{prefix}shared.weight")
    return named if shared is None else {**named, f"{prefix}encoder.embed_tokens.weight": shared}


def new_modules() -> dict[str, Any]:
    """Random weights, the same for one seed of torch."""
    transformer = PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, num_layers=2, sample_size=8,
        patch_size=2, cross_attention_dim=32, caption_channels=32,
    )  # fmt: skip
    text = T5Config(vocab_size=384, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)
    return {"denoiser": transformer, "text_encoder": T5EncoderModel(text), "vae": new_vae()}


def write_flow(path: Path) -> Path:
    """A checkpoint of it."""
    torch.manual_seed(2)
    modules = {name: module.state_dict() for name, module in new_modules().items()}
    tensors = {PREFIXES[name] + key: t.clone() for name, found in modules.items() for key, t in found.items()}
    return write_tensors(tensors, path, {})
