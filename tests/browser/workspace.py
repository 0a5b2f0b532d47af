"""ComfyUI's page as its user handles it: a workflow is opened, its widgets are set, Run is pressed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import WORKFLOW
from dreambooth_nodes.tests.browser.chromium import Page

TEMPLATES = "/api/workflow_templates/dreambooth-nodes"
SMALL: dict[str, dict[str, Any]] = {
    "LoadInstanceImages": {"resolution": 64},
    "GenerateClassPriors": {"count": 4, "steps": 2, "batch_size": 2},
    "5 · Draw and compare": {"steps": 2},
}
# The same in every language and in every frontend.
RUN = "[data-testid=queue-button] button, button[data-testid=queue-button]"
CANCEL = "[aria-label='Cancel current run']"
READY = (
    f"!!window.app?.rootGraph && !!document.querySelector('{RUN}')"
    " && !!app.extensionManager.workflow.activeWorkflow && !app.extensionManager.workflow.isBusy"
)
"""Also that the page has opened its workflow: it would replace what a test puts into the graph before."""
PANEL = ".db-training"
POINTS = f"Number(document.querySelector('{PANEL} svg')?.dataset.points ?? 0)"
QUEUED = (
    "Promise.all(['/api/queue', '/api/history'].map(path => fetch(path).then(r => r.json())))"
    ".then(([queue, past]) => queue.queue_running.length + queue.queue_pending.length + Object.keys(past).length)"
)
"""How many prompts the host was given."""
NEWEST = "fetch('/api/history').then(r => r.json()).then(all => Object.values(all).at(-1))"
"""The host's record of the prompt that ended last."""


class Workspace:
    """A page, the ComfyUI behind it, and a folder for what was seen."""

    def __init__(self, page: Page, comfyui: ComfyUI, screenshots: Path) -> None:
        self.page, self.comfyui, self.screenshots = page, comfyui, screenshots
        page.wait(READY)

    def open_example(self, **training: Any) -> None:
        """The quick start at small settings, a sample every 10 steps; training: widgets of DreamBoothTrain."""
        self.open_template(WORKFLOW.stem)
        self.page.value(
            "(() => { const options = LiteGraph.createNode('DreamBoothOptions'); app.graph.add(options);"
            f"options.pos = [1440, -900]; const train = {node('DreamBoothTrain')};"
            "options.connect(0, train, train.findInputSlot('options')); })()"
        )
        self.set_small(DreamBoothTrain={"sample_every": 10, **training})

    def open_template(self, name: str) -> None:
        """A file of the template browser, as it opens it."""
        self.close_dialogs()
        served = f"{TEMPLATES}/{quote(name)}.json"
        self.page.value(f"fetch('{served}').then(r => r.json()).then(graph => app.loadGraphData(graph, true, true))")
        self.page.wait("app.graph.nodes.some(n => n.type === 'LoadInstanceImages')")

    def close_dialogs(self) -> None:
        """The host's own lie over the page, such as the one that names a template's missing models."""
        closes = "document.querySelectorAll('.p-dialog-close-button')"
        self.page.value(f"{closes}.forEach(button => button.click())")
        self.page.wait(f"{closes}.length === 0")

    def set_small(self, **more: dict[str, Any]) -> None:
        """Settings by which the quick start ends in seconds; more: widgets by node."""
        for kind, widgets in {**SMALL, **more}.items():
            for name, value in widgets.items():
                self.set(kind, name, value)

    def use_renderer(self, nodes_2: bool) -> None:
        """The classic canvas, or Nodes 2.0, which measures its nodes in every frame."""
        self.page.value(f"window.everyFrame = {str(nodes_2).lower()}")
        self.page.value(f"app.extensionManager.setting.set('Comfy.VueNodes.Enabled', {str(nodes_2).lower()})")
        self.page.wait(f"LiteGraph.vueNodesMode === {str(nodes_2).lower()}")

    def boxes(self) -> dict[str, list[float]]:
        """{title: left, top, right, bottom} of every node, with its heading, as it is drawn, in the graph's units."""
        return dict(self.page.value(BOXES))

    def open_nodes(self, *kinds: str) -> None:
        """A graph of these nodes alone, from left to right, not connected."""
        self.page.value(
            f"app.graph.clear(); {json.dumps(kinds)}.forEach((kind, place) => {{"
            "const added = LiteGraph.createNode(kind); app.graph.add(added); added.pos = [place * 480, 0]; })"
        )

    def connect(self, source: str, output: int, target: str, slot: str) -> None:
        """Between the first nodes of two kinds."""
        self.page.value(f"(n => {{ {node(source)}.connect({output}, n, n.findInputSlot('{slot}')); }})({node(target)})")

    def set(self, kind: str, name: str, value: Any) -> None:
        """A widget of every node of a kind or a title, those inside subgraphs too."""
        self.page.value(
            f"{EVERY_NODE}.filter(n => n.type === '{kind}' || n.title === '{kind}').forEach(n => {{ const widget ="
            f"n.widgets.find(w => w.name === '{name}'); widget.value = {json.dumps(value)};"
            "widget.callback?.(widget.value); })"
        )

    def widget(self, kind: str, name: str) -> Any:
        """Of the first node of a kind or a title."""
        return self.page.value(f"{node(kind)}.widgets.find(w => w.name === '{name}').value")

    def look_at(self, kind: str) -> None:
        """Bring a node into view, in full size, below the menu."""
        self.page.value(
            f"(n => {{ app.canvas.ds.scale = 1; app.canvas.ds.offset = [-n.pos[0] + 330, -n.pos[1] + 220];"
            f"app.canvas.setDirty(true, true); }})({node(kind)})"
        )
        # Widgets of the page follow the canvas a frame later.
        self.page.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self) -> None:
        """Press Run until the host has one prompt more."""
        before = self.page.value(QUEUED)
        self.page.click_until(RUN, f"{QUEUED}.then(count => count > {before})")

    def cancel(self) -> None:
        """Press the host's cancel until the training has stopped."""
        self.page.click_until(CANCEL, f"document.querySelector('{PANEL}').dataset.status === 'stopped'")

    def text(self, selector: str) -> str:
        return str(self.page.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def wait_for_status(self, status: str) -> None:
        self.page.wait(f"document.querySelector('{PANEL}')?.dataset.status === '{status}'")

    def wait_until_idle(self) -> None:
        """Until the host works on nothing any more, and the page's buttons know it: a click on one that is drawn anew
        between press and release is lost."""
        self.page.wait("fetch('/api/queue').then(r => r.json()).then(q => !q.queue_running.length)")
        self.page.wait(f"document.querySelector({json.dumps(CANCEL)})?.disabled !== false")

    def screenshot(self, name: str) -> None:
        """For one who looks at them, who has set DREAMBOOTH_SCREENSHOTS; of a test that fails there is one anyway."""
        if "DREAMBOOTH_SCREENSHOTS" in os.environ:
            self.page.screenshot(self.screenshots / f"{name}.png")


EVERY_NODE = "[app.graph, ...app.rootGraph.subgraphs.values()].flatMap(graph => graph.nodes)"


def node(kind: str) -> str:
    """The first node of a kind or a title, in JavaScript."""
    return f"app.graph.nodes.find(n => n.type === '{kind}' || n.title === '{kind}')"


BOXES = """(() => {
  const { scale, offset } = app.canvas.ds;
  const origin = app.canvas.canvas.getBoundingClientRect();
  return Object.fromEntries(app.graph.nodes.map((node) => {
    const { title, pos, size } = node;
    const element = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${node.id}"]`);
    if (!element) return [title, [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]]];
    const drawn = element.getBoundingClientRect();
    const [x, y] = [(drawn.left - origin.left) / scale - offset[0], (drawn.top - origin.top) / scale - offset[1]];
    return [title, [x, y, x + drawn.width / scale, y + drawn.height / scale]];
  }));
})()"""
