"""The settings of a LoKr in a file, which a run that continues it takes over. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.safetensors import read_shapes


def kept_settings(file: Path) -> dict[str, Any]:
    """{"rank": the highest of its halved second factors}; empty where all are whole, which have none. The sizes of its
    factors are those of the file, whatever the options say.
    """
    ranks = {shape[0] for key, shape in read_shapes(file).items() if key.endswith(".lokr_w2_b") and shape}
    return {"rank": max(ranks)} if ranks else {}
