"""A full result as W_trained − W_base, in float32."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError
from .families import family_of
from .keys import KeyTable
from .personalized import Personalized
from .source import CheckpointFile


def difference(result: Personalized, base: Path) -> tuple[str, dict[str, dict[str, Tensor]]]:
    """The family, and {component: {name: W_trained − W_base}}, unchanged weights left out.

    The denoiser's names are the original layout's without its prefix, the text encoders' ours: so hosts have them.
    base: the weights that the result was trained from. Raises CheckpointError where they are gone.
    """
    if not base.is_file():
        raise CheckpointError(
            f"The weights that {result.file.name!r} was trained from are no longer kept, so it cannot be applied to "
            "another model. Load it with CheckpointLoaderSimple, or train it anew."
        )
    before, after = CheckpointFile(base), CheckpointFile(result.file)
    family = family_of(before)
    found = {}
    for component, table in family.key_tables(before.shapes).items():
        if component in family.kohya:
            named = _by_original if component == "denoiser" else KeyTable.ours
            found[component] = _changes(
                named(table, before.tensors(table.prefix)), named(table, after.tensors(table.prefix))
            )
    return family.family, {component: changes for component, changes in found.items() if changes}


def _by_original(table: KeyTable, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(table.prefix): tensor for key, tensor in tensors.items()}


def _changes(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, Tensor]:
    changes = {name: after[name].float() - before[name].float() for name in before.keys() & after.keys()}
    return {name: change for name, change in changes.items() if torch.count_nonzero(change)}
