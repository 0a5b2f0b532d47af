"""What the machine is, for people who read a report, and which dtypes it computes correctly."""

from __future__ import annotations

import os
from typing import Any

import psutil
import torch

from ..trainer.memory.plan import free_memory
from ..trainer.model.precision import fastest_dtype
from ..trainer.runs.versions import versions
from .outcome import FAILED, NOT_OFFERED, WORKS, Outcome
from .random_model import FP8

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Device, memory and versions, ready for JSON; nothing that names a user or a path."""
    fastest = str(fastest_dtype(device) or torch.float32).removeprefix("torch.")
    return {
        "device": _device_name(device),
        "device_type": device.type,
        "cuda": torch.version.cuda or torch.version.hip or "",
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))) if device.type == "cuda" else "",
        "cpu": f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} threads, {torch.get_num_threads()} used",
        "memory": int(psutil.virtual_memory().total),
        "device_memory": _device_memory(device),
        "free": free_memory(device),
        "precision": fastest,
        "versions": versions(),
    }


def dtype_outcomes(device: torch.device) -> list[Outcome]:
    """Whether products of each dtype can be computed on the device, forward and backward, and are right."""
    return [*(_product_outcome(name, dtype, device) for name, dtype in DTYPES.items()), _fp8_outcome(device)]


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return "Apple GPU (MPS)" if device.type == "mps" else "CPU"


def _device_memory(device: torch.device) -> int | None:
    """The bytes of a CUDA device's memory; None for any other."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else None


def _product_outcome(name: str, dtype: torch.dtype, device: torch.device) -> Outcome:
    """Whether a product's gradient is right; of whole numbers it is the same in every dtype."""
    name = f"{name} products"
    try:
        a = torch.full((64, 64), 2.0, device=device, dtype=dtype, requires_grad=True)
        (a @ torch.full((64, 64), 0.5, device=device, dtype=dtype)).sum().backward()
    except (RuntimeError, TypeError) as error:
        return Outcome(name, NOT_OFFERED, str(error).partition("\n")[0])
    right = a.grad is not None and bool((a.grad.float() == 32).all())
    return Outcome(name, WORKS if right else FAILED, "" if right else "a product's gradient is wrong")


def _fp8_outcome(device: torch.device) -> Outcome:
    """Whether stored fp8 weights are read correctly; nothing is computed in fp8."""
    name = "fp8 storage"
    try:
        read = torch.full((64,), 0.5).to(FP8).to(device).to(torch.float32)
    except (RuntimeError, TypeError) as error:
        return Outcome(name, NOT_OFFERED, str(error).partition("\n")[0])
    right = bool((read == 0.5).all())
    return Outcome(name, WORKS if right else FAILED, "" if right else "a stored value is read as another")
