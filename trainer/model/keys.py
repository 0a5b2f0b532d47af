"""Names of weights: tables that map the original layout's names to this package's names ("our names") and back.

Our names are diffusers' for denoiser and VAE, and transformers 5's for CLIP (without the prefix `text_model.`). A table
holds module names; what follows a module's name (`.weight`, `.bias`) is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .source import Source


@dataclass(frozen=True)
class KeyTable:
    """One component's names and shapes in the original layout and in ours. prefix: of every original name.

    pairs: (original module, our module). fused: (original tensor, the tensors of ours that it holds, concatenated along
    the first dimension). transposed: our tensors [a, b] that are [b, a] in the original layout. convolutions: our
    linear layers [a, b] that are 1x1 convolutions [a, b, 1, 1] there.
    """

    prefix: str
    pairs: tuple[tuple[str, str], ...]
    fused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    transposed: frozenset[str] = frozenset()
    convolutions: frozenset[str] = frozenset()

    def our_name(self, original: str) -> str | None:
        """Our name for an original module or tensor of this component; None where it has none."""
        return _rename(original[len(self.prefix) :], self._to_ours) if original.startswith(self.prefix) else None

    def our_names(self, original: str) -> tuple[str, ...]:
        """Our names for the tensors that an original tensor holds; empty where it belongs to no module of this
        component.
        """
        if original.startswith(self.prefix) and (held := self._fused.get(original[len(self.prefix) :])):
            return held
        name = self.our_name(original)
        return () if name is None else (name,)

    def original_name(self, ours: str) -> str | None:
        """The original name for one of our names; None where the original layout has no separate tensor for it."""
        name = _rename(ours, self._to_original)
        return None if name is None else self.prefix + name

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{our name: tensor}, in our shapes, of those original tensors that belong to this component."""
        found: dict[str, Tensor] = {}
        for key, tensor in tensors.items():
            names = self.our_names(key)
            parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor] * len(names)
            found |= {name: self._our_shape(name, part) for name, part in zip(names, parts, strict=True)}
        return found

    def to_original(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{original name: tensor}, in the original shapes, of tensors by our names.

        Raises KeyError for a tensor that the original layout lacks, or an incomplete set of fused ones.
        """
        rest = dict(tensors)
        found: dict[str, Tensor] = {}
        for key, names in self.fused:
            if any(name in rest for name in names):
                found[self.prefix + key] = torch.cat([rest.pop(name) for name in names])
        for name, tensor in rest.items():
            original = self.original_name(name)
            if original is None:
                raise KeyError(name)
            found[original] = self._original_shape(name, tensor)
        return found

    def without(self, ours: str) -> KeyTable:
        """The same table without one of our modules."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[1] != ours))

    @cached_property
    def _to_ours(self) -> dict[str, str]:
        """{original module: our module}."""
        return dict(self.pairs)

    @cached_property
    def _to_original(self) -> dict[str, str]:
        """{our module: original module}."""
        return {ours: original for original, ours in self.pairs}

    @cached_property
    def _fused(self) -> dict[str, tuple[str, ...]]:
        """{original tensor: the tensors of ours that it holds}."""
        return dict(self.fused)

    def _our_shape(self, name: str, tensor: Tensor) -> Tensor:
        """An original tensor in the shape that it has under our name."""
        if name in self.transposed:
            return tensor.t()
        return tensor.flatten(1) if name in self.convolutions else tensor

    def _original_shape(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor of ours in the shape that it has in the original layout."""
        if name in self.transposed:
            return tensor.t()
        return tensor[..., None, None] if name in self.convolutions and tensor.ndim == 2 else tensor


def _rename(key: str, table: Mapping[str, str]) -> str | None:
    """The key with the longest module name that is in the table replaced; None where none is."""
    module = key
    while module and module not in table:
        module = module.rpartition(".")[0]
    return table[module] + key[len(module) :] if module else None


def count_numbered(names: Container[str], pattern: str) -> int:
    """The number of names that are `pattern` with 0, 1, 2 … in place of its {}, up to the first one missing."""
    return next(count for count in itertools.count() if pattern.format(count) not in names)


def text_encoder_name(module_key: str) -> str:
    """Our name for a text encoder's weight: the name without the prefix `text_model.` of transformers 4."""
    return module_key.removeprefix("text_model.")


@dataclass(frozen=True)
class Components(Mapping[str, dict[str, Tensor]]):
    """{component: {our name: tensor}}, where a component is read again at every access and not cached.

    Tensors that belong to no component are left out.
    """

    source: Source
    tables: Mapping[str, KeyTable]

    def __getitem__(self, component: str) -> dict[str, Tensor]:
        table = self.tables[component]
        return table.to_ours(self.source.tensors(table.prefix))

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)
