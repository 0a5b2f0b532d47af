"""Adapters of every kind with random weights, on small bases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dreambooth_nodes.trainer.methods.layer_adapter import LayerAdapter
from dreambooth_nodes.trainer.methods.registry import METHODS, Dora, Lora, Method
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.subject.frame import Frame

OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora", "rank": 4, "alpha": 2.0, "conv_rank": 2},
    "dora": {"method": "dora", "rank": 4, "alpha": 2.0, "conv_rank": 2},
    "lokr": {"method": "lokr", "rank": 3, "alpha": 1.5},
    "lokr, factor 4": {"method": "lokr", "rank": 3, "alpha": 1.5, "factor": 4},
    "lidb": {"method": "lidb"},
}


def options_of(kind: str, **changes: Any) -> TrainOptions:
    all_layers = {"targets": "transformer_and_resnet", "train_text_encoder": True, "precision": "fp32"}
    return TrainOptions(**{**OPTIONS[kind], **all_layers, **changes})


def attached(base: Base, options: TrainOptions, start: Any = None) -> Method[Any]:
    method = METHODS[options.method].begin("olt", "dog", start)
    method.attach(base, options)
    return method


@torch.no_grad()
def randomise(base: Base) -> None:
    """Change every trained weight, halves that begin at zero too; magnitudes by some percent."""
    generator = torch.Generator().manual_seed(3)
    for component in base.components().values():
        for name, weight in component.named_parameters():
            if weight.requires_grad:
                noise = torch.randn(weight.shape, generator=generator)
                if name.endswith("lora_magnitude"):
                    weight.mul_(1 + 0.05 * noise)
                elif "lokr_w1" in name:
                    weight.copy_(noise * 0.1)
                else:
                    # Of a LiDB's few numbers, within whole weights, each counts more.
                    weight.copy_(noise * (0.2 if ".lidb_" in name else 0.3 / weight.shape[-1] ** 0.5))


def weights_of(method: Method[Any], base: Base) -> Mapping[str, Mapping[str, Any]]:
    """{component: {layer: its part of the adapter}} of the trained weights."""
    if isinstance(method, Dora):
        return method.dora(base)
    assert isinstance(method, LayerAdapter | Lora)
    return method.adapter(base) if isinstance(method, LayerAdapter) else method.weights(base)


@torch.no_grad()
def answer(base: Base) -> Tensor:
    """To a prompt, with all text encoders in it."""
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    frames = base.frame_conditioning([Frame.whole(128, 128)])
    return base.predict(latents, torch.tensor([500]), base.encode_prompts(["a dog"]) | frames)
