"""Text encoders as seeded bags of words: layers that are the identity, embeddings from a bit stream. The base's is
CLIP-L; the upscaler's has OpenCLIP ViT-H's width and padding.

Every layer adds `out_proj(...)` and `fc2(...)` to what it gets; both are zero, so the context is
`final_layer_norm(token + position)`. All other tensors are small random numbers, so that fine-tuning
the text encoder is not dead. Nothing of the base's 246 MB needs storing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WIDTH, VOCABULARY, LENGTH, LAYERS = 768, 49408, 77, 12
START, END = 49406, 49407
DISTINCT = 16
"""Positions from this one on share one embedding: the padding is one key of attention, `LENGTH - DISTINCT` times."""
TOKEN_STD, POSITION_STD, LAYER_STD = 0.02, 0.005, 0.02


@dataclass(frozen=True)
class TextKind:
    """A text encoder. seed: the start of the names that its numbers are drawn by. pad: the token id after the end."""

    seed: str
    width: int
    layers: int
    pad: int


BASE = TextKind("", WIDTH, LAYERS, END)
UPSCALER = TextKind("upscaler ", 1024, 1, 0)


def seeded_uniform(name: str, shape: tuple[int, ...], std: float) -> Tensor:
    """Uniform fp16 numbers with this std, a function of `name` alone (Philox bits, the same in every numpy)."""
    key = int.from_bytes(hashlib.sha256(f"toybase {name}".encode()).digest()[:16], "little")
    count = math.prod(shape)
    bits = np.random.Philox(key=key).random_raw((count + 1) // 2).astype("<u8").view("<u4")[:count]
    values = (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return torch.from_numpy(values).mul_(std * math.sqrt(3)).half().view(shape)


@lru_cache(maxsize=1)
def token_embedding(kind: TextKind = BASE) -> Tensor:
    """[49408, width] fp16."""
    return seeded_uniform(f"{kind.seed}token_embedding", (VOCABULARY, kind.width), TOKEN_STD)


def position_embedding(kind: TextKind = BASE) -> Tensor:
    """[77, width] fp16; the rows from DISTINCT on are equal."""
    rows = seeded_uniform(f"{kind.seed}position_embedding", (DISTINCT + 1, kind.width), POSITION_STD)
    return rows[torch.arange(LENGTH).clamp(max=DISTINCT)].clone()


def text_encoder_tensors(kind: TextKind = BASE) -> dict[str, Tensor]:
    """The whole text encoder in fp16, under the names of SD 1.5 below `text_model.`, without position_ids."""
    tensors = {
        "embeddings.token_embedding.weight": token_embedding(kind),
        "embeddings.position_embedding.weight": position_embedding(kind),
        "final_layer_norm.weight": torch.ones(kind.width).half(),
        "final_layer_norm.bias": torch.zeros(kind.width).half(),
    }
    for index in range(kind.layers):
        tensors |= {f"encoder.layers.{index}.{name}": value for name, value in _layer(index, kind).items()}
    return tensors


def _layer(index: int, kind: TextKind) -> dict[str, Tensor]:
    layer: dict[str, Tensor] = {}
    width = kind.width
    for norm in ("layer_norm1", "layer_norm2"):
        layer |= {f"{norm}.weight": torch.ones(width).half(), f"{norm}.bias": torch.zeros(width).half()}
    shapes = {f"self_attn.{part}_proj": (width, width) for part in "qkv"} | {"mlp.fc1": (4 * width, width)}
    for name, shape in shapes.items():
        layer[f"{name}.weight"] = seeded_uniform(f"{kind.seed}layers.{index}.{name}", shape, LAYER_STD)
        layer[f"{name}.bias"] = torch.zeros(shape[0]).half()
    for name, shape in {"self_attn.out_proj": (width, width), "mlp.fc2": (width, 4 * width)}.items():
        layer[f"{name}.weight"], layer[f"{name}.bias"] = torch.zeros(shape).half(), torch.zeros(shape[0]).half()
    return layer


@lru_cache(maxsize=1)
def tokenizer():  # type: ignore[no-untyped-def]
    """transformers' CLIPTokenizer from the vocabulary in trainer/model/families/latent_diffusion/clip_vocabulary."""
    from transformers import CLIPTokenizer

    from ..trainer.model.families.latent_diffusion.build import VOCABULARY as folder

    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="<|endoftext|>", model_max_length=LENGTH
    )


@lru_cache(maxsize=1 << 18)
def short_ids(caption: str, kind: TextKind = BASE) -> tuple[int, ...]:
    """Token ids of a short caption at positions 0 to DISTINCT: start, words, end, padding."""
    ids = tokenizer()(caption).input_ids
    if len(ids) > DISTINCT:
        raise ValueError(f"caption of {len(ids)} tokens, at most {DISTINCT} are trained: {caption!r}")
    return tuple(ids) + (kind.pad,) * (DISTINCT + 1 - len(ids))


@lru_cache(maxsize=2)
def _embeddings(device: torch.device, kind: TextKind) -> tuple[Tensor, Tensor]:
    """Of tokens, and of the positions that differ, on a device."""
    return token_embedding(kind).to(device), position_embedding(kind)[: DISTINCT + 1].to(device)


def short_context(ids: Tensor, kind: TextKind = BASE) -> Tensor:
    """Context [B, 17, width] float32 for ids [B, 17]; with `short_mask` the denoiser sees what it sees of all 77."""
    token, position = _embeddings(ids.device, kind)
    return F.layer_norm(token[ids].float() + position.float(), (kind.width,), eps=1e-5)


def short_mask(count: int, device: torch.device | str = "cpu") -> Tensor:
    """encoder_attention_mask [count, 17] that gives the last key the weight of all the equal ones after it.

    diffusers turns a mask m into the bias -10000 (1 - m); the bias wanted is log(77 - 16).
    """
    mask = torch.ones(count, DISTINCT + 1, device=device)
    mask[:, -1] += math.log(LENGTH - DISTINCT) / 10000
    return mask
