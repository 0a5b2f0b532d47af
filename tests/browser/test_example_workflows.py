"""Every example workflow of the embedded base is dropped onto the page, queued there, and seen to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.demo.example import toybase_workflow_files
from dreambooth_nodes.tests.browser.workspace import NEWEST, Workspace
from dreambooth_nodes.tests.host.test_templates import SMALL

FILES = toybase_workflow_files()
STATUSES = "[...document.querySelectorAll('.db-training')].map(p => p.dataset.status)"
SHOWN = "app.graph.nodes.filter(n => n.type === 'PreviewImage').map(n => String(n.id))"
DRAWN = {"steps": 2}
"""Of the subgraphs that draw: their steps are an input, which counts instead of the sampler's own."""
TAUGHT = {"count": 2}
DRAWING = {
    "5 · Draw and compare": DRAWN,
    "4 · Draw and compare": DRAWN,
    "6 · Draw and compare": DRAWN,
    "5 · Draw": DRAWN,
}
TEACHING = {"3 · Teach the first": TAUGHT, "4 · Teach the second": TAUGHT}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_loaded_queued_and_ends(file: Path, workspace: Workspace) -> None:
    page = workspace.page
    page.value("app.graph.clear()")
    page.drop([file], "#graph-canvas")
    page.wait("app.graph.nodes.some(n => n.type === 'LoadInstanceImages')")
    for kind, widgets in {**SMALL, **DRAWING, **TEACHING}.items():
        for name, value in widgets.items():
            workspace.set(kind, name, value)
    workspace.run()
    page.wait("fetch('/api/queue').then(r => r.json()).then(q => !q.queue_running.length && !q.queue_pending.length)")
    workspace.wait_until_idle()
    assert page.value(f"{NEWEST}.then(entry => entry.status.status_str)") == "success"
    pictures = page.value(f"{NEWEST}.then(entry => {SHOWN}.map(id => entry.outputs[id]?.images?.length ?? 0))")
    assert pictures and all(pictures), pictures
    # The trainings inside a subgraph have their panels there.
    page.wait(f"{STATUSES}.every(s => s === 'finished')")
    workspace.screenshot(file.stem)
