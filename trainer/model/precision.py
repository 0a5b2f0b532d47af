"""The dtypes of the forward pass and of the weights.

Trained weights and their gradients are float32, or bf16 where requested; optimizer states are float32.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ..options import TrainOptions
from ..options.choices import Precision
from ..options.setting import OptionError

AUTOCAST: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""{precision: autocast's dtype}; None: float32 without autocast."""


def forward_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The autocast dtype of a precision, or None for float32. "auto" is `fastest_dtype`.

    Raises OptionError for a precision that the device does not support.
    """
    if precision == "auto":
        return fastest_dtype(device)
    if precision == "fp16" and device.type == "cpu":
        raise OptionError("precision is 'fp16', which a CPU trains slowly and inexactly; use auto, bf16 or fp32.")
    return AUTOCAST[precision]


def frozen_text_dtype(options: TrainOptions, device: str, forward: torch.dtype | None) -> torch.dtype:
    """The dtype of the layers of text encoders: the forward's where they are frozen on a GPU, whose memory they would
    take twice as much of in float32; float32 elsewhere.

    device: its type. forward: the dtype of the forward, None for float32.
    """
    return torch.float32 if device != "cuda" or options.trains_conditioning else forward or torch.float32


def require_bf16_forward(dtype: torch.dtype | None) -> None:
    """Raises OptionError where weights in bf16 would be used in a forward of another dtype."""
    if dtype != torch.bfloat16:
        forward = str(dtype or torch.float32).removeprefix("torch.")
        raise OptionError(
            f"trained_weights is 'bf16', and the forward is in {forward} here: set precision to 'bf16', or leave "
            "trained_weights at 'fp32'."
        )


def cast_trained(module: nn.Module, dtype: torch.dtype) -> None:
    """Cast the trained linear layers and convolutions to `dtype`; norms and embeddings are left as they are, being
    small.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and any(p.requires_grad for p in layer.parameters()):
            layer.to(dtype)


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager[object]:
    """A context for a forward pass in `dtype`; without effect for None."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def fastest_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context for a forward pass in `fastest_dtype`."""
    return autocast(fastest_dtype(device), device)


def cast_frozen(module: nn.Module, dtype: torch.dtype) -> None:
    """Cast the frozen linear layers and convolutions to `dtype`, so that autocast need not cast them at
    every forward.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and not any(p.requires_grad for p in layer.parameters()):
            layer.to(dtype)


def fastest_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype in which the device computes matrix products fastest, or None for float32.

    It is used for training, sampling and measuring wherever the user chose no precision.
    """
    if device.type == "cuda":
        return torch.bfloat16 if _gpu_multiplies_bf16(device) else torch.float16
    if device.type == "cpu" and _cpu_multiplies_bf16():
        return torch.bfloat16
    return None


def _gpu_multiplies_bf16(device: torch.device) -> bool:
    """Whether a GPU computes bf16 natively: Ampere or newer, or ROCm. `is_bf16_supported` also counts emulation."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU multiplies bf16 faster than float32: only with matrix tiles (AMX); others emulate it, many times
    slower.
    """
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(has_tiles and has_tiles()) and _kernels_may_use_tiles()


def _kernels_may_use_tiles() -> bool:
    """Whether the environment allows oneDNN and torch the CPU's matrix tile instructions.

    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html; torch reads ATEN_CPU_CAPABILITY.
    """
    one_dnn = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "DEFAULT")).upper()
    torch_allows = os.environ.get("ATEN_CPU_CAPABILITY", "avx512").lower().startswith(("avx512", "amx"))
    return torch_allows and (one_dnn in ("ALL", "DEFAULT") or "AMX" in one_dnn)
