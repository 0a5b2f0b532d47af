"""The tensors of a model that belong to no module of its components: what they are, or that they are not known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..files.safetensors import CheckpointError, Shapes, listed
from .keys import KeyTable

EMA = re.compile(r"(?:^|[._])ema[._]")
"""Marks the names of a second copy of weights, averaged over a training: "model_ema.diffusion_modelout0weight"."""


@dataclass
class Remainder:
    """The tensors of a source that no key table names.

    known: {tensor: what it is}, of those that no training needs. copies: averaged copies of weights. strange: under a
    component's prefix, and in no module of this kind. beside: under no component's prefix, and not known.
    """

    known: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)

    def require_known(self, name: str, family: str) -> None:
        """Raises CheckpointError where tensors of a component would not be used. name, family: the model's."""
        if self.strange:
            raise CheckpointError(
                f"{name!r} is like a {family}, but holds tensors in its components that no {family} has: "
                f"{listed(self.strange)}. Trained without them it would be another model, so it is not read."
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is said of tensors that are not used and not known."""
        if not self.beside:
            return ()
        return (f"not used, and carried along unchanged: {listed(self.beside)}",)

    @property
    def without_copies(self) -> tuple[str, ...]:
        """What is said where weights change, so that averaged copies of the old ones are left out."""
        if not self.copies:
            return ()
        return (f"the averaged copy of the base's old weights (EMA) is left out of the result: {listed(self.copies)}",)


def remainder_of(shapes: Shapes, tables: Mapping[str, KeyTable], ignorable: Mapping[str, str]) -> Remainder:
    """The tensors with these names that the tables do not name. ignorable: {what it is: a pattern of whole names}."""
    found = Remainder()
    for key in shapes:
        if any(table.our_names(key) for table in tables.values()):
            continue
        known = next((what for what, pattern in ignorable.items() if re.fullmatch(pattern, key)), None)
        if EMA.search(key):
            found.copies.append(key)
        elif known is not None:
            found.known[key] = known
        elif any(key.startswith(table.prefix) for table in tables.values()):
            found.strange.append(key)
        else:
            found.beside.append(key)
    return found
