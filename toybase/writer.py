"""Writes the embedded base: as one SD 1.5 checkpoint for hosts, or as a diffusers folder for comparisons."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..trainer.model.families.latent_diffusion.keys import denoiser_table, vae_table
from ..trainer.model.families.latent_diffusion.unet_shape import Blocks
from ..trainer.operating_system import replace_path
from .denoiser import ATTENTION, BLOCKS
from .padded_vae import pad_vae
from .quantize import load_stored, stored_digest
from .text_encoder import LENGTH, text_encoder_tensors

DENOISER = denoiser_table("model.diffusion_model.", Blocks.even(BLOCKS, ATTENTION))
VAE = vae_table("first_stage_model.", 2, 4)
TEXT_PREFIX = "cond_stage_model.transformer.text_model."
RESOLUTION = "128x128"
"""Of its pretraining, in pixels."""
METADATA = {
    "format": "pt",
    "modelspec.sai_model_spec": "1.0.0",
    "modelspec.architecture": "stable-diffusion-v1",
    "modelspec.title": "dreambooth-nodes toybase",
    "modelspec.description": "A tiny base model, trained on emoji at places. Made for 128 x 128 pixels.",
    "modelspec.license": "Apache-2.0; drawings: see NOTICE",
    "modelspec.resolution": RESOLUTION,
    "modelspec.prediction_type": "epsilon",
}
MARK = "dreambooth_nodes.toybase"
"""Key of a written checkpoint's metadata: the digest of the weights that it was made from."""

PARTS = 5
"""Parts of the work that `write_checkpoint` reports: denoiser, VAE, text encoder, dtype, file."""
Tell = Callable[[int], None]
"""Called with the number of parts that are done."""


def write_checkpoint(path: Path, dtype: torch.dtype = torch.float16, tell: Tell = lambda done: None) -> Path:
    """The base in SD 1.5's checkpoint layout (487 MB in fp16) at `path`, replaced only when complete.

    tell: is called after each of PARTS; what it raises ends the writing, and leaves no file. Raises ValueError where
    `path` is not a .safetensors file, OSError where it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must end in .safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    os.close(handle)
    try:
        save_file(checkpoint_tensors(dtype, tell), temporary, METADATA | {MARK: stored_digest()})
        tell(PARTS)
        Path(temporary).chmod(0o644)
        replace_path(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def is_outdated(path: Path) -> bool:
    """Whether `path` was written from other weights than those that are stored today, or is cut short."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(MARK) != stored_digest()
    except SafetensorError:
        return True


def checkpoint_tensors(dtype: torch.dtype = torch.float16, tell: Tell = lambda done: None) -> dict[str, Tensor]:
    """Every tensor of the checkpoint, under SD 1.5's names. tell: as in `write_checkpoint`."""
    tensors = dict(DENOISER.to_original(load_stored("denoiser")))
    tell(1)
    tensors |= VAE.to_original(pad_vae(load_stored("vae")))
    tell(2)
    tensors |= {TEXT_PREFIX + name: value for name, value in text_encoder_tensors().items()}
    tell(3)
    tensors = {name: value.to(dtype).contiguous() for name, value in tensors.items()}
    tell(4)
    tensors[TEXT_PREFIX + "embeddings.position_ids"] = torch.arange(LENGTH).unsqueeze(0)
    return tensors
