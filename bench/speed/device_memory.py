"""Runs a rival's script, unmodified, and says how much of the GPU it took: `python device_memory.py SCRIPT WORDS…`.

It needs nothing but torch: the script may run in an environment of its own, where this package is not.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import torch


def say_peak() -> None:
    """Print the most bytes of the GPU that torch has held, as `measured_process` reads it; nothing without a GPU."""
    if torch.cuda.is_available():
        print(f"Peak device memory: {torch.cuda.max_memory_reserved()} bytes", flush=True)


def run(words: list[str]) -> None:
    """The script as if it had been started by itself."""
    sys.argv = words
    sys.path[0] = str(Path(words[0]).resolve().parent)
    runpy.run_path(words[0], run_name="__main__")
    say_peak()


if __name__ == "__main__":
    run(sys.argv[1:])
