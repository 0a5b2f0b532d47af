"""A full result as W_trained − W_base, in float32, under the original layout's names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError, read_shapes, read_tensors
from .families import family_of
from .personalized import Personalized


def difference(result: Personalized, base: Path) -> dict[str, dict[str, Tensor]]:
    """{component: {original name without its prefix: W_trained − W_base}}, unchanged weights left out.

    base: the weights that the result was trained from. Raises CheckpointError where they are gone.
    """
    if not base.is_file():
        raise CheckpointError(
            f"The weights that {result.file.name!r} was trained from are no longer kept, so it cannot be applied to "
            "another model. Load it with CheckpointLoaderSimple, or train it anew."
        )
    prefixes = family_of(read_shapes(base)).prefixes
    found: dict[str, dict[str, Tensor]] = {}
    for component, prefix in prefixes.items():
        before, after = read_tensors(base, prefix), read_tensors(result.file, prefix)
        changes = {key[len(prefix) :]: after[key].float() - before[key].float() for key in set(before) & set(after)}
        found[component] = {name: change for name, change in changes.items() if torch.count_nonzero(change)}
    return {component: changes for component, changes in found.items() if changes}
