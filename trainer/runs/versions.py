"""The versions of everything that a run's outcome may depend on."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "numpy",
    "pillow",
)


def versions() -> dict[str, str]:
    """{"python", "system", each of LIBRARIES: its version}; a library that is not installed says so."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()} ({sys.platform})",
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(library: str) -> str:
    """The version of an installed library."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
