"""The pretrained model that is fine-tuned on a subject: `Model` is what a training needs of it, whoever holds its
weights; `Base` is one that is read from files. A model family is a subclass of `Base`, in one file in `families/`.

Components are named "denoiser", "vae", "text_encoder" and so on. "Our name" of a weight is the name that this package
uses: diffusers' for the denoiser and the VAE, transformers' for text encoders (see `keys`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..options.choices import Precision
from ..subject.frame import Frame
from .family import Family
from .fingerprint import Sample, fingerprint, weight_sample
from .keys import Components, KeyTable
from .noise_process import NoiseProcess
from .precision import autocast, cast_frozen, forward_dtype
from .remainder import Remainder
from .small_picture import SmallPicture
from .source import Source

Conditioning = dict[str, Tensor]
"""{name: tensor} that the denoiser is conditioned on besides z_t and t; each tensor's first dimension is the batch."""


@dataclass(frozen=True)
class Posterior:
    """The VAE encoder's output for images, in the denoiser's scale: mean and standard deviation, each [B, C, h, w]."""

    mean: Tensor
    std: Tensor


class Model(ABC):
    """What a training needs of a pretrained model. A host's model in the host's memory is one too.

    denoiser: the module that predicts. text_encoders: {component name: module} of those that can be trained.
    prediction: the denoiser's prediction type, None where there is only one. kohya_version: kohya's
    ss_base_model_version; empty where it has none.
    """

    denoiser: Any
    text_encoders: dict[str, Any]
    noise_process: NoiseProcess
    prediction: str | None = None
    kohya_version: ClassVar[str] = ""
    small_picture: SmallPicture | None = None
    """How an upscaler's denoiser is shown the picture that it enlarges; None in models that draw from a prompt."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device where the model computes."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """The model's identity, SHA-256 in hex (see `fingerprint`)."""

    @property
    @abstractmethod
    def architecture(self) -> str:
        """The model's architecture in the modelspec specification."""

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The conditioning for prompts."""

    @abstractmethod
    def encode_images(self, pixels: Tensor) -> Posterior:
        """The VAE's posterior for pixels [B, 3, H, W] in 0..1."""

    @abstractmethod
    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's prediction for z_t [B, C, h, w] at timesteps t [B], in the shape of z_t."""

    @abstractmethod
    def weight_sample(self) -> Sample:
        """A few values of a few of the denoiser's weights, by which hosts recognise the model later."""

    @abstractmethod
    def enable_checkpointing(self) -> None:
        """Recompute the denoiser's activations in the backward pass."""

    def frame_conditioning(self, frames: Sequence[Frame]) -> Conditioning:
        """The conditioning on image sizes and crops, one row per image; empty in most models."""
        return {}

    def unused(self) -> Remainder:
        """The tensors of the model's files that no component uses; none where it was not read from files."""
        return Remainder()

    def forward_dtype(self, precision: Precision) -> torch.dtype | None:
        """The dtype of autocast in a forward of this precision; None where the forward is float32, or the model casts
        by itself. Raises OptionError for a precision that the device does not support.
        """
        return forward_dtype(precision, self.device)


class Base(Family, Model):
    """One pretrained model in memory, frozen until a training method unfreezes a part.

    vae: a module, as the denoiser and the text encoders are. tables: {component: KeyTable}, for "denoiser", "vae" and
    the text encoders. source: the files that it was read from.
    """

    vae: Any
    tokenizer: Any
    tables: dict[str, KeyTable]
    source: Source
    words: dict[str, tuple[int, ...]]
    """{new word in lower case: its token ids}, in the order in which they were added (see `word_embedding`)."""
    computes_on: torch.device | None = None
    """The device that components are moved to while they compute; None: the device of the denoiser's weights."""

    def __init__(
        self,
        source: Source,
        prediction: str | None = None,
        dtype: torch.dtype = torch.float32,
        known_fingerprint: str | None = None,
        text_dtype: torch.dtype = torch.float32,
    ) -> None:
        """Read the model.

        prediction: the denoiser's prediction type, needed where the weights do not tell. dtype: of the denoiser's
        linear layers and convolutions; float32 where they are to be trained in float32. known_fingerprint: the source's
        fingerprint, where it was computed before; else it is when it is asked for, which reads all weights.
        text_dtype: of the text encoders' linear layers; float32 where they are to be trained.
        """
        self.source = source
        self.words = {}
        self.tables = self.key_tables(source.shapes)
        self._known_fingerprint = known_fingerprint
        self._build(Components(source, self.tables), prediction, dtype)
        self.freeze()
        self.text_dtype = text_dtype
        for encoder in self.text_encoders.values():
            cast_frozen(encoder, text_dtype)

    @cached_property
    def fingerprint(self) -> str:
        """Of the source's weights, whatever was trained since."""
        return self._known_fingerprint or fingerprint(Components(self.source, self.tables))

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
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1 for latents [B, C, h, w] in the denoiser's scale."""

    @abstractmethod
    def scheduler(self, sampler: str) -> Any:
        """A diffusers scheduler for this noise process. Raises KeyError for a sampler that the family does not have."""

    def schedulers(self) -> dict[str, Any]:
        """{folder in a diffusers model: scheduler} of all that the family's pipeline takes."""
        return {"scheduler": self.scheduler(self.sampler)}

    def unused(self) -> Remainder:
        """The tensors of the source that no component uses."""
        return self.remainder(self.source.shapes)

    @property
    def architecture(self) -> str:
        """The model's architecture in the modelspec specification."""
        return self.architecture_of(self.prediction)

    def weight_sample(self) -> Sample:
        """A few values of a few of the denoiser's weights; see `fingerprint.weight_sample`."""
        return weight_sample(self.source)

    def enable_checkpointing(self) -> None:
        """Recompute the denoiser's activations in the backward pass."""
        self.denoiser.enable_gradient_checkpointing()

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The conditioning for prompts in float32, on the device where the model computes."""
        with autocast(None if self.text_dtype == torch.float32 else self.text_dtype, self.device):
            conditioning = self.encode_tokens(self.tokenize(prompts).to(self.device))
        return {name: value.float() if value.is_floating_point() else value for name, value in conditioning.items()}

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

    def read_component(self, component: str) -> dict[str, Tensor]:
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
        self.small_picture = None if self.small_picture is None else self.small_picture.to(device)
        return self

    def freeze(self) -> None:
        """Switch off all gradients, and set all components to evaluation mode."""
        for module in self.components().values():
            module.requires_grad_(False).eval()
