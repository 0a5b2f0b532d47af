"""The pretrained model that is fine-tuned on a subject. A model family is a subclass, in one file in `families/`.

Components are named "denoiser", "vae", "text_encoder" and so on. "Our name" of a weight is the name that this package
uses: diffusers' for the denoiser and the VAE, transformers' for text encoders (see `keys`).
"""

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
from .remainder import Remainder
from .source import Source

Conditioning = dict[str, Tensor]
"""{name: tensor} that the denoiser is conditioned on besides z_t and t; each tensor's first dimension is the batch."""


@dataclass(frozen=True)
class Posterior:
    """The VAE encoder's output for images, in the denoiser's scale: mean and standard deviation, each [B, C, h, w]."""

    mean: Tensor
    std: Tensor


class Base(Family):
    """One pretrained model in memory, frozen until a training method unfreezes a part.

    denoiser, vae: modules. text_encoders: {component name: module}. tables: {component: KeyTable}, for "denoiser",
    "vae" and the text encoders. source: the files that it was read from. prediction: the denoiser's prediction type,
    None in a family that has only one.
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
    """The device that components are moved to while they compute; None: the device of the denoiser's weights."""

    def __init__(
        self,
        source: Source,
        prediction: str | None = None,
        dtype: torch.dtype = torch.float32,
        known_fingerprint: str | None = None,
    ) -> None:
        """Read the model.

        prediction: the denoiser's prediction type, needed where the weights do not tell. dtype: of the denoiser's
        linear layers and convolutions; float32 where they are to be trained in float32. known_fingerprint: the source's
        fingerprint, where it was computed before; computing it reads all weights.
        """
        self.source = source
        self.tables = self.key_tables(source.shapes)
        tensors = Components(source, self.tables)
        self.fingerprint = known_fingerprint or fingerprint(tensors)
        self._build(tensors, prediction, dtype)
        self.freeze()

    @abstractmethod
    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        """Create the denoiser, VAE, text encoders, tokenizer and noise process from a source's tensors, by
        component.
        """

    @abstractmethod
    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids int64 [B, L], padded as in the family's own training."""

    @abstractmethod
    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """The conditioning for token ids [B, L]; differentiable with respect to the text encoders' weights."""

    @abstractmethod
    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's prediction for z_t [B, C, h, w] at timesteps t [B], in the shape of z_t."""

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> Posterior:
        """The VAE's posterior for pixels [B, 3, H, W] in 0..1."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1 for latents [B, C, h, w] in the denoiser's scale."""

    @abstractmethod
    def scheduler(self, sampler: str) -> Any:
        """A diffusers scheduler for this noise process. Raises KeyError for a sampler that the family does not have."""

    def unused(self) -> Remainder:
        """The tensors of the source that no component uses."""
        return self.remainder(self.source.shapes)

    @property
    def architecture(self) -> str:
        """The model's architecture in the modelspec specification."""
        return self.architecture_of(self.prediction)

    def frame_conditioning(self, frames: Sequence[Frame]) -> Conditioning:
        """The conditioning on image sizes and crops, one row per image; empty in most families."""
        return {}

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The conditioning for prompts, on the device where the model computes."""
        return self.encode_tokens(self.tokenize(prompts).to(self.device))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the denoiser's layers; of those that are not in 8 bits, where some are."""
        return next(w.dtype for w in self.denoiser.parameters() if w.ndim > 1 and w.is_floating_point())

    @property
    def device(self) -> torch.device:
        """The device where the model computes."""
        return self.computes_on or next(self.denoiser.parameters()).device

    def components(self) -> dict[str, nn.Module]:
        """{component name: module}, in the order in which a checkpoint lists them."""
        return {"denoiser": self.denoiser, **self.text_encoders, "vae": self.vae}

    def read(self, component: str) -> dict[str, Tensor]:
        """{our name: tensor} of a component, read from the model's files."""
        return Components(self.source, self.tables)[component]

    def to(self, device: torch.device) -> Base:
        """Move every component to `device`, except those whose weights are offloaded to their file (see `offload`).
        Returns self.
        """
        for module in self.components().values():
            if not any(parameter.is_meta for parameter in module.parameters()):
                module.to(device)
        return self.compute_on(device)

    def compute_on(self, device: torch.device) -> Base:
        """Compute on `device`: each component is moved there when it is needed (see `offload.on_device`).
        Returns self.
        """
        # With its index: a tensor's device is "cuda:0", which is not equal to "cuda".
        self.computes_on = torch.empty(0, device=device).device
        self.noise_process = self.noise_process.to(device)
        return self

    def freeze(self) -> None:
        """Switch off all gradients, and set all components to evaluation mode."""
        for module in self.components().values():
            module.requires_grad_(False).eval()
