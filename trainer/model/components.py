"""A model's tensors by component, under our names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from .keys import KeyTable
from .source import Source


@dataclass(frozen=True)
class Components(Mapping[str, dict[str, Tensor]]):
    """{component: {our name: tensor}}: each read whenever it is looked at, and kept by who looked alone.

    What no component owns is left out.
    """

    source: Source
    tables: Mapping[str, KeyTable]

    def __getitem__(self, component: str) -> dict[str, Tensor]:
        table = self.tables[component]
        return table.ours(self.source.tensors(table.prefix))

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)
