"""The pretrained model that a subject is taught to. A family is a subclass, one file in `families/`."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .checkpoint import Shapes
from .denoiser import NoiseProcess
from .frame import Frame
from .keys import KeyTable
from .source import Source

Conditioning = dict[str, Tensor]
"""What the denoiser is told beside z_t and t; every tensor's first dimension is the prompt."""


@dataclass(frozen=True)
class Posterior:
    """The VAE's answer for images, in the denoiser's scale: mean and standard deviation [B, C, h, w]."""

    mean: Tensor
    std: Tensor


class Base(ABC):
    """One pretrained model in memory, frozen until a method unfreezes a part.

    denoiser, vae: modules. text_encoders: {component name: module}. tables: {component: KeyTable},
    components being "denoiser", "vae" and the text encoders. source: what it was read from.
    """

    family: ClassVar[str]
    kohya: ClassVar[dict[str, str]]
    """{component: what stands before its layers' names in kohya's LoRA files}."""
    kohya_by_original: ClassVar[bool] = False
    """Whether the denoiser's layers have the original layout's names there, or ours."""
    diffusers: ClassVar[dict[str, str]]
    """{component: its folder and LoRA prefix in diffusers}."""
    kohya_version: ClassVar[str] = ""
    """kohya's ss_base_model_version, without the `_v` of v-prediction."""
    pipeline: ClassVar[str] = ""
    """The class of diffusers that runs the family, where its folder can be written."""
    pad_tokens: ClassVar[dict[str, str]] = {}
    """{text encoder: what its tokenizer pads with}, for that folder."""
    sampler: ClassVar[str] = "euler_ancestral"
    """What pictures are drawn with where nobody says it; ancestral, as the paper draws its class images."""
    latent_channels: ClassVar[int] = 4
    pixels_per_latent: ClassVar[int] = 8
    resolution: ClassVar[int] = 512
    """Pixels a side that the family was trained at."""

    denoiser: Any
    vae: Any
    tokenizer: Any
    text_encoders: dict[str, Any]
    tables: dict[str, KeyTable]
    process: NoiseProcess
    prediction: str | None = None
    source: Source
    fingerprint: str

    @abstractmethod
    def __init__(self, source: Source, prediction: str | None = None, dtype: torch.dtype = torch.float32) -> None:
        """Read the model. prediction: what its denoiser answers, where the weights do not tell.

        dtype: of the denoiser's linear layers and convolutions, float32 where they are to be trained.
        """

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether a file with these tensors is of this family."""

    @classmethod
    @abstractmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{component: KeyTable} for a file with these tensors."""

    @classmethod
    def answers(cls, source: Source, asked: str | None) -> str | None:
        """What the denoiser answers, where a family has a choice: as asked, else as the model shows."""
        return asked

    @classmethod
    def marks(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """What a whole checkpoint needs beside the source's tensors, so that hosts know what the denoiser answers."""
        return {}

    @classmethod
    def trained_at(cls, source: Source, prediction: str | None) -> int:
        """Pixels a side that the model was trained at."""
        return cls.resolution

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
    def scheduler(self, sampler: str) -> Any:
        """A diffusers scheduler for this noise process. Raises KeyError for a sampler that it has not."""

    @classmethod
    @abstractmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """A regular expression for the modules of a component that get a LoRA."""

    @property
    @abstractmethod
    def architecture(self) -> str:
        """The name in the modelspec specification."""

    def frame_conditioning(self, frames: Sequence[Frame]) -> Conditioning:
        """What the denoiser is told of images' sizes, a row an image; most families tell nothing."""
        return {}

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning for prompts, on the text encoder's device."""
        return self.encode_tokens(self.tokenize(prompts).to(self.device))

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser's layers."""
        return next(weight.dtype for weight in self.denoiser.parameters() if weight.ndim > 1)

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


def component_tensors(source: Source, tables: Mapping[str, KeyTable]) -> dict[str, dict[str, Tensor]]:
    """{component: {our name: tensor}} of a model; what nobody owns is left out."""
    return {component: table.ours(source.tensors(table.prefix)) for component, table in tables.items()}
