"""All layers of the denoiser, and of the text encoder when asked (the paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from ..model.base import Base
from ..model.keys import text_encoder_name
from ..options import TrainOptions
from .protocol import trained_components

Whole = Callable[[str, Mapping[str, Tensor]], Mapping[str, Tensor]]


def as_they_are(component: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights that one process has."""
    return tensors


class Full:
    """Full fine-tuning."""

    name: ClassVar[str] = "full"

    def __init__(self, whole: Whole = as_they_are) -> None:
        """whole: gives a component's weights in one piece."""
        self._components: tuple[str, ...] = ()
        self._whole = whole

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Unfreeze every weight of the trained components."""
        components = trained_components(base, options)
        self._components = tuple(components)
        for module in components.values():
            module.requires_grad_(True).train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """Every weight of the trained components, under our names."""
        modules = base.components()
        whole = {name: self._whole(name, modules[name].state_dict()) for name in self._components}
        return {name: {text_encoder_name(k): v.detach() for k, v in tensors.items()} for name, tensors in whole.items()}
