"""One real ComfyUI, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base
from dreambooth_nodes.demo.host_process import exit_on_sigterm


@pytest.fixture(scope="package")
def comfyui() -> Iterator[ComfyUI]:
    exit_on_sigterm()
    with ComfyUI() as running:
        install_base(running)
        yield running
