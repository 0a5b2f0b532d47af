"""An update of low rank of the stored denoiser: its training goes on, and little is stored for it.

W' = W + B A, with A [r, in] and B [out, r]: a LoRA (Hu et al. 2021, section 4.1) of every linear and convolutional
layer, merged wherever the weights are read.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor, nn

from .denoiser import new_denoiser
from .quantize import load_whole


def low_rank_denoiser(rank: int) -> UNet2DConditionModel:
    """The denoiser with the stored weights, frozen, and an update of zero in every layer. rank: at least 1."""
    model = new_denoiser()
    model.load_state_dict(load_whole("denoiser"))
    model.requires_grad_(False)
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    model.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers))
    return model


class TrainedPart(nn.Module):
    """The factors of an adapted denoiser by the names of their layers: `<layer>.lora_A` and `<layer>.lora_B`."""

    def __init__(self, factors: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.names = list(factors)
        self.factors = nn.ParameterList(factors.values())

    def state_dict(self, *arguments: object, **more: object) -> dict[str, Tensor]:  # type: ignore[override]
        """{name: factor}."""
        return dict(zip(self.names, self.factors, strict=True))

    def load_state_dict(self, state: dict[str, Tensor], *arguments: object, **more: object) -> None:  # type: ignore[override]
        """Take the values of all factors. Raises KeyError where one is missing."""
        with torch.no_grad():
            for name, factor in zip(self.names, self.factors, strict=True):
                factor.copy_(state[name])


def trained_part(model: UNet2DConditionModel) -> TrainedPart:
    """The factors of `low_rank_denoiser`'s model; they are its own, not copies."""
    suffix = ".default.weight"
    factors = {name.removesuffix(suffix): one for name, one in model.named_parameters() if name.endswith(suffix)}
    return TrainedPart(factors)
