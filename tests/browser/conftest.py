"""A real ComfyUI and a page of it in Chromium, one of each for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base
from dreambooth_nodes.tests.browser import chromium
from dreambooth_nodes.tests.browser.workspace import Workspace


@pytest.fixture(scope="package")
def comfyui() -> Iterator[ComfyUI]:
    if chromium.found() is None:
        pytest.skip("there is no Chromium here; .ci/run installs it: apt-get install chromium")
    with ComfyUI() as running:
        install_base(running)
        # The first visit of all opens the templates over everything.
        running.request("/settings", {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": False})
        yield running


@pytest.fixture(scope="package")
def workspace(comfyui: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Its screenshots lie in pytest's temporary folder."""
    with chromium.Page(f"http://{comfyui.address}/") as page:
        yield Workspace(page, comfyui, tmp_path_factory.mktemp("screenshots"))


@pytest.fixture(autouse=True)
def no_script_fails(workspace: Workspace) -> Iterator[None]:
    """Nothing that the page runs may raise, in any test."""
    yield
    workspace.page.value("1")
    assert workspace.page.errors == []


@pytest.fixture
def screenshots(workspace: Workspace) -> Path:
    return workspace.screenshots
