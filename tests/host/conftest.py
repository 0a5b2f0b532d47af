"""One real ComfyUI, started once for all tests of this folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base

TINY_SIZES = Path(__file__).with_name("tiny_sizes.py")
"""A custom node by which it loads tiny models."""
MOST_KEPT = 2 << 30
"""Bytes."""
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
def memory_is_bounded() -> Iterator[None]:
    """After a file's tests the host keeps their models, and the next file's tests begin with the embedded base in
    memory; once it holds more than MOST_KEPT, all are unloaded.
    """
    yield
    for host in STARTED:
        if host.process_id is None or psutil.Process(host.process_id).memory_info().rss > MOST_KEPT:
            host.free()
