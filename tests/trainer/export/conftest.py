"""A LoRA of every kind of layer on the embedded base, with random halves: large enough to be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.trainer.base import Base
from dreambooth_nodes.trainer.export.layers import Layers, layers_in
from dreambooth_nodes.trainer.export.lora_weights import LoraLayer, LoraWeights

RANK = 3


def random_lora(layers: Layers, alpha: float = RANK, rank: int = RANK, only: str = "") -> LoraWeights:
    """Attention, feed-forward and 3x3 convolutions of the denoiser, and the text encoder's projections."""
    generator = torch.Generator().manual_seed(0)
    kinds = ("to_q", "to_out.0", "proj_in", "conv1", "time_emb_proj", "ff.net.2", "self_attn.q_proj", "mlp.fc1")
    lora: dict[str, dict[str, LoraLayer]] = {}
    for (component, layer), shape in layers.places.items():
        if layer.endswith(kinds) and only in component:
            down = torch.randn(rank, *shape[1:], generator=generator) / 10
            up = torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=generator) / 10
            # Halves that fp16 holds exactly.
            lora.setdefault(component, {})[layer] = LoraLayer(down.half().float(), up.half().float(), alpha)
    return lora


@torch.no_grad()
def answer(base: Base, words: str = "a dog") -> Tensor:
    """The denoiser's output for fixed latents: it depends on every weight of denoiser and text encoders."""
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return base.predict(latents, torch.tensor([500]), base.encode_prompts([words]))


@pytest.fixture(scope="session")
def layers(toybase_file: Path) -> Layers:
    return layers_in(toybase_file)


@pytest.fixture(scope="session")
def plain(base: Base) -> Tensor:
    return answer(base)


@pytest.fixture
def merged(new_base: Callable[[], Base]) -> Callable[[LoraWeights], Base]:
    """A live base with a LoRA in its weights."""
    from dreambooth_nodes.trainer.export.merge import merge_into

    return lambda lora: merge_into(new_base(), lora)
