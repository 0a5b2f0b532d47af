"""A LoRA of every kind of layer, with random halves: large enough to be seen."""

from __future__ import annotations

import torch
from torch import Tensor

from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.layers import Layers
from dreambooth_nodes.trainer.subject.frame import Frame

RANK = 3
KINDS = ("to_q", "to_out.0", "proj_in", "conv1", "time_emb_proj", "ff.net.2", "self_attn.q_proj", "self_attn.out_proj")


def random_lora(
    layers: Layers, alpha: float = RANK, rank: int = RANK, only: str = ""
) -> dict[str, dict[str, LoraLayer]]:
    """Attention, feed-forward and 3x3 convolutions of the denoiser, and the text encoders' projections.

    only: components whose name holds this. fp16 holds all values exactly.
    """
    generator = torch.Generator().manual_seed(0)
    lora: dict[str, dict[str, LoraLayer]] = {}
    for (component, layer), shape in layers.places.items():
        if layer.endswith((*KINDS, "mlp.fc1")) and only in component:
            down = torch.randn(rank, *shape[1:], generator=generator) / 10
            up = torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=generator) / 10
            lora.setdefault(component, {})[layer] = LoraLayer(down.half().float(), up.half().float(), alpha)
    return lora


@torch.no_grad()
def answer(base: Base, words: str = "a dog") -> Tensor:
    """The denoiser's output for fixed latents: it depends on every weight of denoiser and text encoders."""
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    sizes = base.frame_conditioning([Frame.whole(128, 128)])
    return base.predict(latents, torch.tensor([500]), {**base.encode_prompts([words]), **sizes})
