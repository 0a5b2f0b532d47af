"""The pretrained model that a subject is taught to. A family is a subclass, one file in `families/`."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .checkpoint import Shapes, read_tensors
from .denoiser import NoiseProcess
from .keys import KeyTable

Conditioning = dict[str, Tensor]
"""What the denoiser is told beside z_t and t; every tensor's first dimension is the prompt."""


@dataclass(frozen=True)
class Posterior:
    """The VAE's answer for images, in the denoiser's scale: mean and standard deviation [B, C, h, w]."""

    mean: Tensor
    std: Tensor


class Base(ABC):
    """One pretrained model in memory, float32 or as asked, frozen until a method unfreezes a part.

    denoiser, vae: modules. text_encoders: {component name: module}. tables: {component: KeyTable},
    components being "denoiser", "vae" and the text encoders. source: the file it came from.
    """

    family: ClassVar[str]
    architecture: ClassVar[str]
    prefixes: ClassVar[dict[str, str]]
    """What stands before the original names of the components that can be trained."""
    kohya: ClassVar[dict[str, str]]
    """Component → what stands before its layers' names in kohya's LoRA files."""
    kohya_by_original: ClassVar[bool] = False
    """Whether those files name the denoiser's layers as the original layout does, not as we do."""
    kohya_version: ClassVar[str] = ""
    """kohya's ss_base_model_version, without the `_v` of v-prediction."""
    diffusers: ClassVar[dict[str, str]]
    """Component → its name in a diffusers pipeline."""
    pipeline: ClassVar[str]
    """The class of diffusers that runs the family."""
    pad_tokens: ClassVar[dict[str, str]]
    """Text encoder → what its tokenizer pads with."""
    latent_channels: ClassVar[int] = 4
    pixels_per_latent: ClassVar[int] = 8

    denoiser: Any
    vae: Any
    tokenizer: Any
    text_encoders: dict[str, Any]
    tables: dict[str, KeyTable]
    process: NoiseProcess
    source: Path
    fingerprint: str

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether a file with these tensors is of this family."""

    @classmethod
    @abstractmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{component: KeyTable} for a file with these tensors."""

    @abstractmethod
    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids int64 [B, L], padded as the family was trained."""

    @abstractmethod
    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """Conditioning for token ids [B, L]; differentiable in the text encoders."""

    @abstractmethod
    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's answer for z_t [B, C, h, w] at t [B]."""

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> Posterior:
        """The posterior for pixels [B, 3, H, W] in 0..1."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1 for latents [B, C, h, w] in the denoiser's scale."""

    @abstractmethod
    def scheduler_config(self) -> dict[str, Any]:
        """Settings of this noise process for a diffusers scheduler."""

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning for prompts, on the text encoder's device."""
        return self.encode_tokens(self.tokenize(prompts).to(self.device))

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""
        return next(self.denoiser.parameters()).device

    def components(self) -> dict[str, nn.Module]:
        """{component name: module}, in the order in which a checkpoint lists them."""
        return {"denoiser": self.denoiser, **self.text_encoders, "vae": self.vae}

    def to(self, device: torch.device) -> Base:
        """Move every component to `device`; returns self."""
        for module in self.components().values():
            module.to(device)
        self.process = self.process.to(device)
        return self

    def freeze(self) -> None:
        """No gradient anywhere; evaluation mode."""
        for module in self.components().values():
            module.requires_grad_(False).eval()


def fingerprint(components: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 (hex) over names, shapes and fp16 values: a file and its fp32 copy have the same one."""
    digest = hashlib.sha256()
    for component in sorted(components):
        for key, tensor in sorted(components[component].items()):
            digest.update(f"{component}.{key}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().half().contiguous().numpy().data)
    return digest.hexdigest()


def component_tensors(path: Path, tables: Mapping[str, KeyTable]) -> dict[str, dict[str, Tensor]]:
    """{component: {our name: tensor}} of a file in the original layout; what nobody owns is left out."""
    found: dict[str, dict[str, Tensor]] = {}
    for component, table in tables.items():
        tensors = read_tensors(path, table.prefix)
        found[component] = {name: tensors[key] for key, name in table.to_ours(tensors).items()}
    return found
