"""Full fine-tuning of the denoiser, and of the text encoder when requested (the paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..files.checked_file import require_same
from ..model.base import Base
from ..model.keys import text_encoder_name
from ..model.original_layout import original_tensors, without_copies
from ..options import MethodName, TrainOptions
from .protocol import Folder, Method, ModelFile, Trained


class Full(Method[Base]):
    """Full fine-tuning: all weights of the trained components. Its file is a whole checkpoint."""

    name: ClassVar[MethodName] = "full"
    folder: ClassVar[Folder] = "checkpoints"
    keeps_base: ClassVar[bool] = True

    def __init__(self) -> None:
        self._components: tuple[str, ...] = ()

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
        """Unfreeze every weight of the trained components, and set them to training mode."""
        components = self.components(base, options)
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

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The whole checkpoint in the original layout, with the base's marker tensors."""
        marks = base.marker_tensors(base.source, base.prediction)
        shapes = {**without_copies(base.source.shapes), **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
        tensors = original_tensors(base, trained).merged_with(marks)
        return ModelFile(tensors, "checkpoint", lambda found, name: require_same(found, name, shapes))
