"""The embedded base in a third of the bytes: one identity layer of text encoder, the VAE as narrow as it is stored.

It answers as the checkpoint that hosts load (`tests/toybase/test_compact_base.py`), and encodes and decodes in a
fraction of the time. For tests of what no host loads.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dreambooth_nodes.toybase.narrow_vae import LAYERS
from dreambooth_nodes.toybase.quantize import load_stored
from dreambooth_nodes.toybase.text_encoder import LENGTH, text_encoder_tensors
from dreambooth_nodes.toybase.writer import DENOISER, METADATA, TEXT_PREFIX
from dreambooth_nodes.trainer.files.safetensors import write_tensors
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import VAE, vae_table

LAYER, FIRST_LAYER = "encoder.layers.", "encoder.layers.0."


def write_compact_base(path: Path) -> Path:
    """As one checkpoint in SD 1.5's layout, in float16."""
    return write_tensors(compact_tensors(), path, METADATA)


def compact_tensors() -> dict[str, Tensor]:
    """Every tensor of that checkpoint, under SD 1.5's names."""
    tensors = DENOISER.to_original(load_stored("denoiser")) | vae_table(VAE, LAYERS, 4).to_original(load_stored("vae"))
    for name, value in text_encoder_tensors().items():
        if not name.startswith(LAYER) or name.startswith(FIRST_LAYER):
            tensors[TEXT_PREFIX + name] = value
    tensors = {name: value.half().contiguous() for name, value in tensors.items()}
    tensors[f"{TEXT_PREFIX}embeddings.position_ids"] = torch.arange(LENGTH).unsqueeze(0)
    return tensors
