"""Writes the files of tiny models of this year, among a host's models: the sizes are those of its own classes."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from dreambooth_nodes.tests.host.in_memory.models import flux2_vae_weights, z_image_weights
from dreambooth_nodes.tests.host.in_memory.newer import flux2_weights, krea2_weights
from dreambooth_nodes.tests.host.tiny_models import random_weights
from dreambooth_nodes.tests.host.tiny_vaes import taesd_shapes, wan_vae_shapes

FOLDER = "DREAMBOOTH_TEST_MODELS"
"""The variable that names the host's folder of models."""


def halves(name: str, weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The two files of a small VAE, with the host's prefixes taken away."""
    return {
        f"vae_approx/{name}_{half}.safetensors": {
            key.removeprefix(f"taesd_{half}."): weight
            for key, weight in weights.items()
            if key.startswith(f"taesd_{half}.")
        }
        for half in ("encoder", "decoder")
    }


def figures() -> list[str]:
    """The files that were written."""
    of_16_channels = {
        f"taesd_{half}.{key}": weight
        for half, shapes in taesd_shapes().items()
        for key, weight in random_weights(shapes).items()
    }
    files = {
        "diffusion_models/tiny_flux2_turbo.safetensors": flux2_weights(),
        "diffusion_models/tiny_krea2_turbo.safetensors": krea2_weights(),
        "diffusion_models/tiny_z_image_turbo.safetensors": z_image_weights(),
        "vae/tiny_wan.safetensors": random_weights(wan_vae_shapes()),
        **halves("taef1", of_16_channels),
        **halves("taef2", flux2_vae_weights()),
    }
    for name, weights in files.items():
        file = Path(os.environ[FOLDER]) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, file)
    return list(files)
