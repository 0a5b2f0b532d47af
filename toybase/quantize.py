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
PARTS = ("denoiser", "vae")
_SCALE = "|scale"


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


def load_stored(part: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """The stored weights of "denoiser" or "vae" in float32, under diffusers' names.

    Raises FileNotFoundError where the weights are missing (an incomplete clone).
    """
    path = folder / f"{part}.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: clone the repository whole, or train with toybase/README.md")
    return unpack(load_file(path))


def stored_digest(folder: Path = WEIGHTS) -> str:
    """SHA-256 (hex) of the stored weights of denoiser and VAE."""
    return digest_of(folder / f"{part}.safetensors" for part in PARTS)


def store(runs: Path, folder: Path = WEIGHTS) -> int:
    """Pack runs/{denoiser,vae}.safetensors into `folder`; the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for part in PARTS:
        path = folder / f"{part}.safetensors"
        temporary = path.with_name(path.name + ".tmp")
        save_file(pack(load_file(runs / f"{part}.safetensors")), temporary, {"format": "pt", "licence": "Apache-2.0"})
        temporary.replace(path)
        total += path.stat().st_size
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    print(f"{store(parser.parse_args().runs) / 1e6:.2f} MB")
