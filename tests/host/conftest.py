"""One real ComfyUI, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base


@pytest.fixture(scope="package")
def comfyui() -> Iterator[ComfyUI]:
    with ComfyUI() as running:
        install_base(running)
        yield running
