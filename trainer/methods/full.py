"""Full fine-tuning of the denoiser, and of the text encoder when requested (the paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..files.checked_file import require_same
from ..model.base import Base
from ..model.keys import text_encoder_name
from ..model.original_layout import original_tensors, without_copies
from ..options import TrainOptions
from ..options.choices import MethodName
from .protocol import Folder, Method, ModelFile, Trained

REFERS_TO_THE_BASE = ("compare with the base", "stay close to the base")
"""The priors that need the base as it was: of full fine-tuning, a copy."""


class Full(Method[Base]):
    """Full fine-tuning: all weights of the trained components. Its file is a whole checkpoint."""

    name: ClassVar[MethodName] = "full"
    folder: ClassVar[Folder] = "checkpoints"
    keeps_base: ClassVar[bool] = True

    def __init__(self) -> None:
        self._components: tuple[str, ...] = ()
        self._reference: Base | None = None

    @staticmethod
    def load_dtype(options: TrainOptions, forward: torch.dtype | None) -> torch.dtype:
        """float32 where the weights are trained in float32, else the forward's dtype."""
        return torch.float32 if options.trained_weights == "fp32" else forward or torch.float32

    @staticmethod
    def memory_levers(dtype: torch.dtype | None) -> Iterator[dict[str, Any]]:
        """Adafactor on weights in bf16, which it rounds stochastically, in a fused backward."""
        if dtype == torch.bfloat16:
            yield {"optimizer": "adafactor", "trained_weights": "bf16", "fused_backward": True}

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Unfreeze every weight of the trained components, and set them to training mode; keep a frozen copy of them
        where the prior compares with it.
        """
        components = self.components(base, options)
        if options.prior_in_use in REFERS_TO_THE_BASE:
            self._reference = _copy_of(base, components)
        self._components = tuple(components)
        for module in components.values():
            module.requires_grad_(True).train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """All weights of the trained components (see `Method.trained`)."""
        modules = base.components()
        return {
            component: {text_encoder_name(k): v.detach() for k, v in modules[component].state_dict().items()}
            for component in self._components
        }

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Base]:
        """The copy of the base where the prior needs one; else the base itself, before its first step."""
        yield base if self._reference is None else self._reference_beside(base)

    def _reference_beside(self, base: Base) -> Base:
        """The copy, on the devices of the components that it was made from."""
        assert self._reference is not None
        now, copies = base.components(), self._reference.components()
        for name in self._components:
            copies[name].to(next(now[name].parameters()).device)
        return self._reference

    def squared_change(self, base: Base, by_factors: bool) -> Tensor:
        """Σ(θ − θ₀)² over the trained components; by_factors is of LoRAs alone."""
        now, before = base.components(), self._reference_beside(base).components()
        pairs = [
            (weight, start)
            for name in self._components
            for weight, start in zip(now[name].parameters(), before[name].parameters(), strict=True)
        ]
        return torch.stack([(weight.float() - start.float()).square().sum() for weight, start in pairs]).sum()

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The whole checkpoint in the original layout, with the base's marker tensors."""
        marks = base.marker_tensors(base.source, base.prediction)
        shapes = {**without_copies(base.source.shapes), **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
        tensors = original_tensors(base, trained).merged_with(marks)
        return ModelFile(tensors, "checkpoint", lambda found, name: require_same(found, name, shapes))


def _copy_of(base: Base, components: Mapping[str, nn.Module]) -> Base:
    """A base with frozen copies of these components; all else is shared."""
    copies = {name: deepcopy(module).requires_grad_(False).eval() for name, module in components.items()}
    reference = copy(base)
    reference.denoiser = copies.pop("denoiser")
    reference.text_encoders = {**base.text_encoders, **copies}
    return reference
