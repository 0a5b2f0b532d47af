"""The file layouts and dtypes that a result can be written in. Imports no torch: the command line's help names them."""

from __future__ import annotations

from typing import Literal, get_args

Layout = Literal["kohya", "diffusers", "checkpoint", "diffusers folder", "difference", "lidb"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
EMBEDDING = "embedding"
"""The layout of a learned word, which no conversion makes."""
LORA_LAYOUTS = ("kohya", "diffusers", "difference")
"""The layouts that are LoRA files."""
Dtype = Literal["fp16", "bf16", "fp32"]
DTYPES: tuple[str, ...] = get_args(Dtype)
