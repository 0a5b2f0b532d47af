"""One real ComfyUI, started once for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base

TINY_SIZES = Path(__file__).with_name("tiny_sizes.py")
"""A custom node by which it loads tiny models."""
STARTED: list[ComfyUI] = []
"""The host of these tests, once one of them has asked for it."""


@pytest.fixture(scope="package")
def comfyui() -> Iterator[ComfyUI]:
    base_directory = Path(tempfile.mkdtemp(prefix="dreambooth-comfyui-"))
    try:
        (base_directory / "custom_nodes").mkdir()
        shutil.copy(TINY_SIZES, base_directory / "custom_nodes")
        with ComfyUI(base_directory) as running:
            install_base(running)
            STARTED.append(running)
            yield running
    finally:
        STARTED.clear()
        shutil.rmtree(base_directory, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def models_are_unloaded() -> Iterator[None]:
    """After a file's tests the host would keep their models: gigabytes by the end of its life."""
    yield
    for host in STARTED:
        host.free()
