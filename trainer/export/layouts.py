"""The layouts that a result can be written in."""

from __future__ import annotations

from typing import Literal, get_args

Layout = Literal["kohya", "diffusers", "checkpoint", "diffusers folder", "difference"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
LORA_LAYOUTS = ("kohya", "diffusers", "difference")
Dtype = Literal["fp16", "bf16", "fp32"]
DTYPES: tuple[str, ...] = get_args(Dtype)
