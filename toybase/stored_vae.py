"""The narrow VAE with the weights that this repository stores."""

from __future__ import annotations

from diffusers import AutoencoderKL

from .narrow_vae import new_vae
from .quantize import load_stored


def stored_vae() -> AutoencoderKL:
    """The embedded base's VAE before its padding, in float32, for inference."""
    vae = new_vae().eval()
    vae.load_state_dict(load_stored("vae"))
    return vae.requires_grad_(False)
