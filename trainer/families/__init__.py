"""Model families. A new one is a new file and a line here."""

from __future__ import annotations

from pathlib import Path

from ..base import Base
from ..checkpoint import CheckpointError, read_shapes
from .stable_diffusion_1 import StableDiffusion1

FAMILIES: tuple[type[StableDiffusion1], ...] = (StableDiffusion1,)


def load_base(path: Path) -> Base:
    """The pretrained model in a .safetensors file, float32, frozen, on the CPU.

    Raises CheckpointError, naming what was found, when no family recognises the file.
    """
    shapes = read_shapes(path)
    for family in FAMILIES:
        if family.recognises(shapes):
            return family(path)
    groups = sorted({".".join(key.split(".")[:2]) for key in shapes})
    raise CheckpointError(
        f"{path.name!r} is of no family that can be trained here (so far: "
        f"{', '.join(f.architecture for f in FAMILIES)}). It holds {len(shapes)} tensors: "
        f"{', '.join(groups[:8])}{' …' if len(groups) > 8 else ''}"
    )
