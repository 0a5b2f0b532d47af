"""What files of LoRAs and other adapters have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

Layer = TypeVar("Layer")


class ReadAdapter(dict[str, dict[str, Layer]], Generic[Layer]):
    """An adapter as it was read: {component: {our name of a layer: its part}}. file: its weights, or the first of them.
    warnings: what was assumed and what was left out, each one sentence.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.warnings: tuple[str, ...] = ()


def lycoris_fields(algorithm: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """kohya's metadata of a LyCORIS network. arguments: of the algorithm."""
    return {
        "ss_network_module": "lycoris.kohya",
        "ss_network_args": json.dumps({"algo": algorithm, **{name: str(value) for name, value in arguments.items()}}),
    }
