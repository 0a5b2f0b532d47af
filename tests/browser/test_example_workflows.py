"""Every example workflow of the embedded base is dropped onto the page, queued there, and seen to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.demo.example import toybase_workflow_files
from dreambooth_nodes.tests.browser.workspace import NEWEST, Workspace
from dreambooth_nodes.tests.host.test_templates import SMALL

FILES = toybase_workflow_files()
STATUSES = "[...document.querySelectorAll('.db-training')].map(p => p.dataset.status)"
SAVED = "app.graph.nodes.filter(n => n.type === 'SaveImage').map(n => String(n.id))"


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_loaded_queued_and_ends(file: Path, workspace: Workspace) -> None:
    page = workspace.page
    page.value("app.graph.clear()")
    page.drop([file], "#graph-canvas")
    page.wait("app.graph.nodes.some(n => n.type === 'DreamBoothTrain')")
    for kind, widgets in SMALL.items():
        for name, value in widgets.items():
            workspace.set(kind, name, value)
    workspace.run()
    page.wait(f"{STATUSES}.length && {STATUSES}.every(s => s === 'finished')", 300)
    workspace.wait_until_idle()
    pictures = page.wait(
        f"{NEWEST}.then(entry => entry.status.status_str === 'success'"
        f" && {SAVED}.map(id => entry.outputs[id]?.images?.length ?? 0))"
    )
    assert pictures and all(pictures)
    workspace.look_at("DreamBoothTrain")
    workspace.screenshot(file.stem)
