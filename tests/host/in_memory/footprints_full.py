"""The memory of a training step of full-size models, counted on the meta device."""

from __future__ import annotations

from typing import Any

import comfy.supported_models
import torch

from dreambooth_nodes.tests.host.in_memory.footprints import SIZES, full_size

DTYPES = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}


def figures() -> dict[str, Any]:
    """{model: {dtype of its weights: {way: gigabytes}}} of those that this host knows."""
    known = [name for name in SIZES if hasattr(comfy.supported_models, SIZES[name][0])]
    return {name: {word: full_size(name, dtype) for word, dtype in DTYPES.items()} for name in known}
