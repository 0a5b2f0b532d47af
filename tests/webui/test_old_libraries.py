"""Automatic1111's own Python 3.10, torch 2.1.2, transformers 4.30.2 and Gradio 3.41.2, and the tab, in one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.tests.webui.conftest import Serve
from dreambooth_nodes.tests.webui.environment import ROOT, a1111_python
from dreambooth_nodes.tests.webui.tab_page import PATIENCE, ask, loras, open_tab, status
from dreambooth_nodes.trainer.runs.personalized import read_personalized

VERSIONS = """
import importlib.metadata as m, importlib.util as u, json, sys
versions = [*map(m.version, ("torch", "transformers", "gradio"))]
print(json.dumps([*sys.version_info[:2], *versions, u.find_spec("diffusers") is None]))
"""
NO_PART_OF_IT = shutil.ignore_patterns(".*", "tests", "bench", "__pycache__", "demo_output")


def pip_freeze(python: Path) -> str:
    return subprocess.run([python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tab_of_a_webui_with_old_libraries_trains_with_ours(chromium: Any, serve: Serve, tmp_path: Path) -> None:
    python = a1111_python()
    if python is None:
        pytest.skip("Automatic1111 is for Python 3.10, and there is none here (PYTHON_FLOOR names one)")
    said = subprocess.run([python, "-c", VERSIONS], check=True, capture_output=True, text=True).stdout
    assert json.loads(said) == [3, 10, "2.1.2", "4.30.2", "3.41.2", True]
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "launch_utils.py").touch()
    extension = tmp_path / "extensions" / "dreambooth-nodes"
    shutil.copytree(ROOT, extension, ignore=NO_PART_OF_IT)
    before = pip_freeze(python)
    subprocess.run([python, extension / "install.py"], check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert pip_freeze(python) == before
    assert list((extension / "libraries").glob("torch-2.3.1*")) and (extension / "libraries" / "diffusers").is_dir()
    webui = serve("a1111", python=python, extension=extension)
    page = chromium.new_page(viewport={"width": 1400, "height": 1400})
    page.goto(webui.url)
    open_tab(page, "DreamBooth")
    ask(page)
    page.locator("#dreambooth_train").click()
    status(page).get_by_text("Finished").wait_for(timeout=PATIENCE)
    page.locator("#dreambooth_samples img").first.wait_for()
    # The process with the tab has no diffusers at all: what trained saw ours.
    assert [read_personalized(file).trigger for file in loras(webui)] == ["olt dog"]
    page.close()
