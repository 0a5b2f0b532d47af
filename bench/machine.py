"""What the figures of every bench depend on beside the code."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate")


def machine(device: torch.device) -> dict[str, object]:
    """Processor, threads and libraries, for people."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    libraries = {library: version(library) for library in LIBRARIES}
    return {"processor": f"{platform.machine()} {name}", "threads": torch.get_num_threads(), **libraries}
