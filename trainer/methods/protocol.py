"""The interface of a training method. A new method is a new file."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor, nn

from ..model.base import Base
from ..options import TrainOptions


class Method(Protocol):
    """A training method: which weights of a base are trained, and under which names they are returned."""

    name: ClassVar[str]
    warnings: tuple[str, ...]
    """What is said of the weights that the method starts from, each one sentence."""

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Make the trained parameters of `base` require gradients; all others stay frozen."""

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {our name: tensor}} of the trained weights, detached, on their device; our names are diffusers'
        and transformers' (see `model.keys`).
        """


def trained_components(base: Base, options: TrainOptions) -> dict[str, nn.Module]:
    """{component name: module} of the denoiser and, when requested, the text encoders."""
    encoders = base.text_encoders if options.train_text_encoder else {}
    return {"denoiser": base.denoiser, **encoders}
