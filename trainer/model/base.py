"""The pretrained model that a subject is taught to. A family is a subclass, one file in `families/`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..subject.frame import Frame
from .family import Family
from .fingerprint import fingerprint
from .keys import Components, KeyTable
from .noise_process import NoiseProcess
from .source import Source

Conditioning = dict[str, Tensor]
"""What the denoiser is told beside z_t and t; every tensor's first dimension is the prompt."""


@dataclass(frozen=True)
class Posterior:
    """The VAE's answer for images, in the denoiser's scale: mean and standard deviation [B, C, h, w]."""

    mean: Tensor
    std: Tensor


class Base(Family):
    """One pretrained model in memory, frozen until a method unfreezes a part.

    denoiser, vae: modules. text_encoders: {component name: module}. tables: {component: KeyTable},
    components being "denoiser", "vae" and the text encoders. source: what it was read from.
    """

    denoiser: Any
    vae: Any
    tokenizer: Any
    text_encoders: dict[str, Any]
    tables: dict[str, KeyTable]
    noise_process: NoiseProcess
    prediction: str | None = None
    source: Source
    fingerprint: str
    computes_on: torch.device | None = None
    """Where components are brought when they work; None: all are where the denoiser is."""

    def __init__(
        self,
        source: Source,
        prediction: str | None = None,
        dtype: torch.dtype = torch.float32,
        known_fingerprint: str | None = None,
    ) -> None:
        """Read the model. prediction: what its denoiser answers, where the weights do not tell.

        dtype: of the denoiser's linear layers and convolutions, float32 where they are to be trained.
        known_fingerprint: of this source, where it was computed before; all weights are read for it.
        """
        self.source = source
        self.tables = self.key_tables(source.shapes)
        tensors = Components(source, self.tables)
        self.fingerprint = known_fingerprint or fingerprint(tensors)
        self._build(tensors, prediction, dtype)
        self.freeze()

    @abstractmethod
    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        """Make denoiser, VAE, text encoders, tokenizer and noise process of a source's tensors, by component."""

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

    @property
    def architecture(self) -> str:
        """The name in the modelspec specification."""
        return self.architecture_of(self.prediction)

    def frame_conditioning(self, frames: Sequence[Frame]) -> Conditioning:
        """What the denoiser is told of images' sizes, a row an image; most families tell nothing."""
        return {}

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """Conditioning for prompts, on the text encoder's device."""
        return self.encode_tokens(self.tokenize(prompts).to(self.device))

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser's layers; of those that are not in 8 bits, where others are."""
        return next(w.dtype for w in self.denoiser.parameters() if w.ndim > 1 and w.is_floating_point())

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.computes_on or next(self.denoiser.parameters()).device

    def components(self) -> dict[str, nn.Module]:
        """{component name: module}, in the order in which a checkpoint lists them."""
        return {"denoiser": self.denoiser, **self.text_encoders, "vae": self.vae}

    def read(self, component: str) -> dict[str, Tensor]:
        """{our name: tensor} of a component as its file has it."""
        return Components(self.source, self.tables)[component]

    def to(self, device: torch.device) -> Base:
        """Move every component to `device`, but for those in their file alone (see `offload`); returns self."""
        for module in self.components().values():
            if not any(parameter.is_meta for parameter in module.parameters()):
                module.to(device)
        return self.compute_on(device)

    def compute_on(self, device: torch.device) -> Base:
        """Compute on `device`, and move each component there when it is needed; see `placement`. Returns self."""
        # With its index: "cuda" is not equal to the "cuda:0" that tensors say they are on.
        self.computes_on = torch.empty(0, device=device).device
        self.noise_process = self.noise_process.to(device)
        return self

    def freeze(self) -> None:
        """No gradient anywhere; evaluation mode."""
        for module in self.components().values():
            module.requires_grad_(False).eval()
