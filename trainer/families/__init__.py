"""Model families. A new one is a new file and a line here."""

from __future__ import annotations

from pathlib import Path

from ..base import Base, component_tensors, fingerprint
from ..checkpoint import CheckpointError, Shapes, read_shapes
from .stable_diffusion_1 import StableDiffusion1

FAMILIES: tuple[type[StableDiffusion1], ...] = (StableDiffusion1,)


def family_of(shapes: Shapes, name: str = "the file") -> type[StableDiffusion1]:
    """The family that recognises these tensors. Raises CheckpointError, naming what was found."""
    for family in FAMILIES:
        if family.recognises(shapes):
            return family
    groups = sorted({".".join(key.split(".")[:2]) for key in shapes})
    raise CheckpointError(
        f"{name!r} is of no family that can be trained here (so far: "
        f"{', '.join(f.architecture for f in FAMILIES)}). It holds {len(shapes)} tensors: "
        f"{', '.join(groups[:8])}{' …' if len(groups) > 8 else ''}"
    )


def load_base(path: Path) -> Base:
    """The pretrained model in a .safetensors file, float32, frozen, on the CPU.

    Raises CheckpointError, naming what was found, when no family recognises the file.
    """
    return family_of(read_shapes(path), path.name)(path)


def fingerprint_of(path: Path, name: str | None = None) -> str:
    """The fingerprint of the model in a .safetensors file, without building it; `name` is for errors."""
    shapes = read_shapes(path)
    tables = family_of(shapes, name or path.name).key_tables(shapes)
    return fingerprint(component_tensors(path, tables))
