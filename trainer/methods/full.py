"""Full fine-tuning of the denoiser, and of the text encoder when requested (the paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from ..model.base import Base
from ..model.keys import text_encoder_name
from ..options import TrainOptions
from .protocol import trained_components

Whole = Callable[[str, Mapping[str, Tensor]], Mapping[str, Tensor]]
"""A function (component, its tensors) that returns the full tensors where they are sharded over processes."""


def as_they_are(component: str, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors unchanged: the `Whole` of a model that is not sharded."""
    return tensors


class Full:
    """Full fine-tuning: all weights of the trained components."""

    name: ClassVar[str] = "full"
    warnings: tuple[str, ...] = ()

    def __init__(self, whole: Whole = as_they_are) -> None:
        """whole: returns a component's full weights; needed where they are sharded over processes."""
        self._components: tuple[str, ...] = ()
        self._whole = whole

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Unfreeze every weight of the trained components, and set them to training mode."""
        components = trained_components(base, options)
        self._components = tuple(components)
        for module in components.values():
            module.requires_grad_(True).train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {our name: tensor}} of all weights of the trained components, detached; our names are diffusers'
        and transformers' (see `model.keys`).
        """
        modules = base.components()
        whole = {name: self._whole(name, modules[name].state_dict()) for name in self._components}
        return {name: {text_encoder_name(k): v.detach() for k, v in tensors.items()} for name, tensors in whole.items()}
