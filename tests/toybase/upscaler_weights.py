"""The embedded upscaler's parts with random weights, stored as those of the pack would be."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from dreambooth_nodes.toybase.narrow_vae import UPSCALER as VAE
from dreambooth_nodes.toybase.narrow_vae import new_vae
from dreambooth_nodes.toybase.quantize import pack
from dreambooth_nodes.toybase.upscaler import in_training


def random_weights(folder: Path) -> Path:
    """Write both parts into a new folder; returns it."""
    folder.mkdir()
    torch.manual_seed(0)
    for part, model in (("upscaler", in_training()), ("upscaler_vae", new_vae(VAE))):
        weights = {name: one.detach() for name, one in model.state_dict().items()}
        save_file(pack(weights), folder / f"{part}.safetensors")
    return folder
