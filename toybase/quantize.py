"""Stores trained weights as int8 per output channel: `python -m toybase quantize --runs runs`.

A weight `name` of two or more dimensions becomes int8 `name` and fp32 `name|scale` [out]; norms and
biases stay fp16. Everything measured or shown of toybase is measured on what `load_stored` gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..trainer.files.hashes import digest_of

WEIGHTS = Path(__file__).resolve().parent / "weights"
PARTS, UPSCALER_PARTS = ("denoiser", "vae"), ("upscaler", "upscaler_vae")
_SCALE = "|scale"
UPDATE = "_update"
"""What ends the name of the file with an update of low rank (`low_rank_update`)."""
DOWN, UP = ".lora_A", ".lora_B"
"""What ends the names of its factors A and B."""


def pack(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights as int8 and fp16."""
    packed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2:
            packed[name] = value.half()
        else:
            packed[name], packed[name + _SCALE] = _rows_to_int8(value.float())
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` stored, as float32."""
    weights = {name: value.float() for name, value in packed.items() if not name.endswith(_SCALE)}
    for name, value in packed.items():
        if name.endswith(_SCALE):
            weight = weights[name.removesuffix(_SCALE)]
            weight *= value.view(-1, *[1] * (weight.ndim - 1))
    return weights


def _rows_to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    rows = weight.flatten(1)
    largest = rows.abs().amax(1).clamp(min=1e-12)
    best_scale, best_error = largest / 127, torch.full_like(largest, torch.inf)
    # clipping the largest values a little often costs less than the coarser steps they force
    for share in torch.linspace(0.80, 1.0, 11):
        scale = largest * share / 127
        error = (_round(rows, scale) * scale[:, None] - rows).square().sum(1)
        best_scale = torch.where(error < best_error, scale, best_scale)
        best_error = torch.minimum(error, best_error)
    return _round(rows, best_scale).to(torch.int8).view(weight.shape), best_scale


def _round(rows: Tensor, scale: Tensor) -> Tensor:
    return (rows / scale[:, None]).round().clamp(-127, 127)


def load_whole(part: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """The stored weights of "denoiser" or "vae" in float32, under diffusers' names, without an update.

    Raises FileNotFoundError where the weights are missing (an incomplete clone).
    """
    path = folder / f"{part}.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: clone the repository whole, or train with toybase/README.md")
    return unpack(load_file(path))


def load_stored(part: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """What `load_whole` gives, with the stored update of low rank where the part has one."""
    whole, update = load_whole(part, folder), folder / f"{part}{UPDATE}.safetensors"
    return with_update(whole, unpack(load_file(update))) if update.exists() else whole


def with_update(weights: dict[str, Tensor], update: dict[str, Tensor]) -> dict[str, Tensor]:
    """W + B A for every layer that the update has, in float32; the other weights as they are."""
    merged = dict(weights)
    for name, down in update.items():
        if name.endswith(DOWN):
            layer = name.removesuffix(DOWN)
            weight, up = weights[f"{layer}.weight"], update[f"{layer}{UP}"]
            merged[f"{layer}.weight"] = weight + (up.flatten(1) @ down.flatten(1)).view_as(weight)
    return merged


def stored_digest(folder: Path = WEIGHTS) -> str:
    """SHA-256 (hex) of the stored weights of denoiser and VAE, updates included."""
    return digest_of(file for part in PARTS for file in folder.glob(f"{part}*.safetensors"))


def store(runs: Path, folder: Path = WEIGHTS) -> int:
    """Pack what `runs` holds of denoiser, VAE, denoiser_update and the upscaler's parts (.safetensors) into `folder`;
    the bytes written.

    A new denoiser has no update: the old one's is removed. Raises FileNotFoundError where `runs` holds none of them.
    """
    names = [name for name in (*PARTS, f"denoiser{UPDATE}", *UPSCALER_PARTS) if (runs / f"{name}.safetensors").exists()]
    if not names:
        raise FileNotFoundError(f"{runs} holds nothing that was trained")
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for name in names:
        path, trained = folder / f"{name}.safetensors", runs / f"{name}.safetensors"
        if name == "denoiser":
            (folder / f"denoiser{UPDATE}.safetensors").unlink(missing_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        save_file(pack(load_file(trained)), temporary, {"format": "pt", "licence": "Apache-2.0"})
        temporary.replace(path)
        total += path.stat().st_size
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    print(f"{store(parser.parse_args().runs) / 1e6:.2f} MB")
