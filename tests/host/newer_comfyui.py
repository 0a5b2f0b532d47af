"""A newer ComfyUI for the tests that need one: no package registry has it, so it is a clone that the user makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dreambooth_nodes.demo.environment import ROOT, comfyui_python

FOLDER = ROOT / ".comfyui-newer"
"""A clone of ComfyUI 0.33 or newer, with a virtual environment `.venv` in it; COMFYUI_NEWER_DIR names another."""
VARIABLES = {"COMFYUI_DIR": "COMFYUI_NEWER_DIR", "COMFYUI_PYTHON": "COMFYUI_NEWER_PYTHON"}


@contextmanager
def newer_comfyui() -> Iterator[Path]:
    """The newer ComfyUI in place of the repository's own. Skips the test where there is none."""
    folder = Path(os.environ.get(VARIABLES["COMFYUI_DIR"], FOLDER))
    if not (folder / "main.py").is_file():
        pytest.skip(f"there is no ComfyUI 0.33 or newer in {FOLDER.name}, nor does COMFYUI_NEWER_DIR name one")
    python = os.environ.get(VARIABLES["COMFYUI_PYTHON"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMFYUI_DIR", str(folder))
        if python:
            patch.setenv("COMFYUI_PYTHON", python)
        assert comfyui_python() is not None, f"{folder} has no .venv, nor does COMFYUI_NEWER_PYTHON name its Python"
        yield folder
