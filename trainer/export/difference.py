"""The weight difference of a full fine-tuning, W_trained − W_base, in float32."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..files.safetensors import CheckpointError
from ..model.base import Base
from ..model.families import family_of
from ..model.keys import KeyTable
from ..model.source import CheckpointFile
from ..runs.personalized import Personalized


def difference(result: Personalized, base: Path) -> dict[str, dict[str, Tensor]]:
    """{component: {ComfyUI's name of a weight: W_trained − W_base}} in float32, without unchanged weights.

    base: the file of weights that the result was trained from. Raises CheckpointError where it no longer exists.
    """
    if not base.is_file():
        raise CheckpointError(
            f"The weights that {result.file.name!r} was trained from are no longer kept, so it cannot be applied to "
            "another model. Load it with Load Checkpoint, or train it anew."
        )
    before, after = CheckpointFile(base), CheckpointFile(result.file)
    family = family_of(before)
    tables = {name: table for name, table in family.key_tables(before.shapes).items() if name in family.comfyui}
    found = {
        component: _changes(*(_named(family, component, table, source) for source in (before, after)))
        for component, table in tables.items()
    }
    return {component: changes for component, changes in found.items() if changes}


def _named(family: type[Base], component: str, table: KeyTable, source: CheckpointFile) -> dict[str, Tensor]:
    """{ComfyUI's name: weight} of a component."""
    tensors, prefix = source.tensors(table.prefix), family.comfyui[component]
    if component == "denoiser":
        return {prefix + key.removeprefix(table.prefix): tensor for key, tensor in tensors.items()}
    return {prefix + family.shared_name(component, name): tensor for name, tensor in table.to_ours(tensors).items()}


def _changes(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, Tensor]:
    """{name: after − before} in float32 of the weights that differ."""
    changes = {name: after[name].float() - before[name].float() for name in before.keys() & after.keys()}
    return {name: change for name, change in changes.items() if torch.count_nonzero(change)}
