"""Modules of this package, run in a process of their own: the one that measures stays small."""

from __future__ import annotations

import sys
from pathlib import Path

from ..trainer.memory.allocator import tuned

ROOT = Path(__file__).resolve().parent.parent

_CHILD = (
    "import importlib, runpy, sys; "
    "package = runpy.run_path(sys.argv[1], run_name='child')['load_package']().__name__; "
    "importlib.import_module(f'{package}.{sys.argv[2]}').main(sys.argv[3:])"
)


def child(module: str, *words: object) -> list[str]:
    """The command that runs `main` of a module of this package in a process of its own."""
    return [sys.executable, "-c", _CHILD, str(ROOT / "__main__.py"), module, *map(str, words)]


def training_child(module: str, method: str, device: str, *words: object) -> list[str]:
    """The same, started as the command line starts a training of this method."""
    beside = [f"{name}={value}" for name, value in tuned(method, device).items()]
    return [*(["env", *beside] if beside else []), *child(module, *words)]
