"""A low-rank update beside the frozen weights, W + (alpha/r)·B·A (Hu et al., 2021), by peft."""

from __future__ import annotations

import math
from typing import ClassVar

from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import Tensor, nn

from ..base import Base
from ..families.modules import text_encoder_name
from ..options import TrainOptions
from ..randomness import scoped_seed
from .protocol import trained_components


class Lora:
    """LoRA of the denoiser's layers and, when asked, of the text encoder's."""

    name: ClassVar[str] = "lora"

    def __init__(self) -> None:
        self._components: tuple[str, ...] = ()

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Add the adapters, drawn from the run's seed; B starts at zero, so nothing changes yet."""
        components = trained_components(base, options)
        self._components = tuple(components)
        with scoped_seed(options.seed, "lora"):
            for component, module in components.items():
                names = base.lora_targets(component, options.targets)
                inject_adapter_in_model(_config(options, rf".*(?:{names})"), module)
                _begin(module)
                module.train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {"layer.lora_A.weight": A [r, in], "layer.lora_B.weight": B [out, r]}}."""
        modules = base.components()
        return {
            component: {
                text_encoder_name(key): tensor.detach()
                for key, tensor in get_peft_model_state_dict(modules[component]).items()
            }
            for component in self._components
        }


def _begin(module: nn.Module) -> None:
    """A is drawn and B zero in float32 whatever the frozen layer's dtype: peft gives both that dtype."""
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
            if ".lora_A." in name:
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))


def _config(options: TrainOptions, targets: str) -> LoraConfig:
    return LoraConfig(r=options.rank, lora_alpha=options.lora_alpha, target_modules=targets)
