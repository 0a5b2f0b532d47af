"""In Chinese and Japanese: nodes, their tooltips, panels and help pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.tests.browser.workspace import READY, Workspace, node

LANGUAGES = ("zh", pytest.param("ja", marks=pytest.mark.slow))
"""One of them: both are files of the same names, which `tests/host/test_translations.py` reads."""
TRAIN = "DreamBoothTrain"
# What the help button of a selected node opens, whatever the language says on it.
HELP = "[data-testid=info-button]"
PAGE = ".node-help-content"


def texts(language: str, kind: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))[kind])


def speak(workspace: Workspace, language: str) -> None:
    workspace.comfyui.request("/settings", {"Comfy.Locale": language})
    workspace.page.reload()
    workspace.page.wait(READY)


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[str]:
    speak(workspace, request.param)
    workspace.open_example()
    yield request.param
    speak(workspace, "en")


def test_a_node_speaks_the_language(workspace: Workspace, language: str) -> None:
    said = texts(language, TRAIN)
    shown = workspace.page.value(
        "(n => [n.constructor.nodeData.display_name,"
        "Object.fromEntries(n.inputs.map(i => [i.name, i.localized_name])),"
        "Object.fromEntries(n.widgets.filter(w => w.label && w.serialize !== false).map(w => [w.name, w.label])),"
        f"n.constructor.nodeData.inputs.method.tooltip, n.constructor.nodeData.description])({node(TRAIN)})"
    )
    names = {name: texts["name"] for name, texts in said["inputs"].items()}
    assert shown[:2] == [said["display_name"], names]
    assert shown[2].items() <= names.items() and "method" in shown[2]
    assert shown[3:] == [said["inputs"]["method"]["tooltip"], said["description"]]


def test_a_panel_speaks_the_language(workspace: Workspace, language: str) -> None:
    stop = {"zh": "停止并保留", "ja": "停止して残す"}[language]
    assert stop in workspace.text(".db-training")


def test_the_help_page_is_the_languages(workspace: Workspace, language: str) -> None:
    workspace.look_at(TRAIN)
    workspace.page.value(f"app.canvas.selectItems([{node(TRAIN)}])")
    workspace.page.click(HELP)
    heading = texts(language, TRAIN)["display_name"]
    workspace.page.wait(f"document.querySelector('{PAGE} h1')?.innerText === {json.dumps(heading)}")
    workspace.screenshot(f"help_{language}")
