"""All layers of the denoiser, and of the text encoder when asked (the paper, section 3.3)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..base import Base
from ..families.modules import text_encoder_name
from ..options import TrainOptions
from .protocol import trained_components


class Full:
    """Full fine-tuning."""

    name: ClassVar[str] = "full"

    def __init__(self) -> None:
        self._components: tuple[str, ...] = ()

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Unfreeze every weight of the trained components."""
        components = trained_components(base, options)
        self._components = tuple(components)
        for module in components.values():
            module.requires_grad_(True).train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """Every weight of the trained components, under our names."""
        modules = base.components()
        return {
            component: {text_encoder_name(k): v.detach() for k, v in modules[component].state_dict().items()}
            for component in self._components
        }
