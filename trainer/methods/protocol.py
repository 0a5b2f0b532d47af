"""A method decides what is trained. A new one is a new file."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor, nn

from ..model.base import Base
from ..options import TrainOptions


class Method(Protocol):
    """What is trained on a base, and how that is named."""

    name: ClassVar[str]

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Make the trained parameters of `base` require gradients; everything else stays frozen."""

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {our name: tensor}} of what was trained, detached, on its device."""


def trained_components(base: Base, options: TrainOptions) -> dict[str, nn.Module]:
    """The denoiser and, when asked, the text encoders, by component name."""
    encoders = base.text_encoders if options.train_text_encoder else {}
    return {"denoiser": base.denoiser, **encoders}
