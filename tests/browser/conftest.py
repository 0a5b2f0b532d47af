"""A real ComfyUI and a page of it in Chromium, one of each for all tests of this folder.

`pytest -m ""` runs them on three pages: the one that this ComfyUI asks for, the newest of PyPI, and that of a newer
ComfyUI (tests/host/newer_comfyui.py says where it is looked for; without one, those are skipped).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base
from dreambooth_nodes.tests.browser import chromium
from dreambooth_nodes.tests.browser.workspace import Workspace
from dreambooth_nodes.tests.host.newer_comfyui import newer_comfyui

SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
}
FRONTEND = "comfyui-frontend-package"
OWN, NEWEST, NEWER = "own frontend", "newest frontend", "newer ComfyUI"
PAGES = [OWN, *(pytest.param(page, marks=pytest.mark.slow) for page in (NEWEST, NEWER))]


@pytest.fixture(scope="package", params=PAGES)
def frontend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The host's arguments that choose its page; a newer host takes the place of the repository's own meanwhile."""
    if request.param == NEWER:
        with newer_comfyui():
            yield ()
    elif request.param == NEWEST:
        folder = tmp_path_factory.mktemp("frontend")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), FRONTEND]
        subprocess.run(command, check=True)
        yield "--front-end-root", str(folder / FRONTEND.replace("-", "_") / "static")
    else:
        yield ()


@pytest.fixture(scope="package")
def comfyui(frontend: tuple[str, ...]) -> Iterator[ComfyUI]:
    if chromium.found() is None:
        pytest.skip("there is no Chromium here; .ci/run installs it: apt-get install chromium")
    with ComfyUI(arguments=frontend) as running:
        install_base(running)
        # The first visit of all opens the templates over everything, and a template without its models a dialog.
        running.request("/settings", SETTINGS)
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A screenshot of what a test saw when it failed."""
    report = yield
    seen = getattr(item, "funcargs", {}).get("workspace")
    if report.when == "call" and report.failed and isinstance(seen, Workspace):
        name = re.sub(r"[^\w.]+", " ", item.name)
        try:
            report.sections.append(("screenshot", str(seen.page.screenshot(seen.screenshots / f"{name}.png"))))
        except TimeoutError:
            report.sections.append(("screenshot", "the page is not drawn any more"))
    return report
