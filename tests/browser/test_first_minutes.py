"""What a new user meets first, on the classic canvas and in Nodes 2.0: the first Run, templates that can be read, nodes
that stay where they are, photos, errors.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.example import WORKFLOW, install_base, toybase_workflow_files, workflow_files
from dreambooth_nodes.tests.browser.workspace import NEWEST, PANEL, Workspace, node

LEAST_ZOOM = 0.7
ENLARGED = 1024
TILES = "[...document.querySelectorAll('.db-photo')]"
PHOTOS, ERROR = ".db-photos", ".db-photos .db-error"
QUICK = WORKFLOW.stem
SHOWN = "n => (n.imgs?.[0] ?? document.querySelector(`[data-node-id='${n.id}'] img`))?.naturalWidth"
"""The width of the picture that a node shows: on the canvas, or in Nodes 2.0 as an element of the page."""
WIDER = """[...document.querySelectorAll('[data-node-id] .db-panel')].filter((panel) =>
  panel.getBoundingClientRect().right > panel.closest('[data-node-id]').getBoundingClientRect().right + 1
).map((panel) => panel.className)"""
"""The panels that reach out of their nodes, in Nodes 2.0."""
PICTURES = ("Your subject", "The base model, same words and seed")


RENDERERS = {"classic": False, "nodes 2.0": True}
IN_ONE_RENDERER = pytest.mark.parametrize(
    "renderer", [False, pytest.param(True, marks=pytest.mark.slow)], ids=RENDERERS, indirect=True, scope="module"
)
"""Of tests of panels that both renderers show in one way: in Nodes 2.0 only in `make test-all`."""


@pytest.fixture(scope="module", params=RENDERERS.values(), ids=RENDERERS)
def renderer(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[bool]:
    workspace.use_renderer(request.param)
    yield request.param
    workspace.use_renderer(False)


def overlap(one: list[float], other: list[float]) -> bool:
    return one[0] < other[2] - 1 and other[0] < one[2] - 1 and one[1] < other[3] - 1 and other[1] < one[3] - 1


def settled(workspace: Workspace) -> dict[str, list[float]]:
    """The boxes of all nodes, once two looks at them agree."""
    boxes = workspace.boxes()
    for _ in range(50):
        workspace.page.value("new Promise(done => setTimeout(done, 200))")
        before, boxes = boxes, workspace.boxes()
        if before == boxes:
            break
    return boxes


def flat(boxes: dict[str, list[float]]) -> list[float]:
    return [value for _, box in sorted(boxes.items()) for value in box]


def sizes(boxes: dict[str, list[float]]) -> list[float]:
    """Widths and heights; the host moves all nodes alike."""
    return [end - start for _, box in sorted(boxes.items()) for start, end in zip(box[:2], box[2:], strict=True)]


def name_of(workspace: Workspace, what: str, nodes_2: bool) -> str:
    return f"{what}, {'nodes 2' if nodes_2 else 'classic'}"


def test_the_first_run_writes_the_base_trains_and_shows_both_pictures_large(
    workspace: Workspace, renderer: bool
) -> None:
    base = workspace.comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME
    # It is written by the host, whatever draws the page.
    if not renderer:
        base.unlink()
        workspace.comfyui.free()
    try:
        workspace.open_template(QUICK)
        workspace.set_small(DreamBoothTrain={"steps": 20, "sample_every": 4, "seed": int(renderer), "name": "first"})
        before = settled(workspace)
        workspace.run()
        workspace.wait_for_status("finished")
        workspace.wait_until_idle()
        assert workspace.page.value(f"{NEWEST}.then(entry => entry.status.status_str)") == "success"
        assert base.is_file() and (renderer or not base.is_symlink())
        for title in PICTURES:
            workspace.page.wait(f"({SHOWN})(app.graph.nodes.find(n => n.title === '{title}')) === {ENLARGED}")
        # Pictures and samples have come, and every node is where it was.
        assert flat(settled(workspace)) == pytest.approx(flat(before), abs=1)
        assert workspace.page.value(f"document.querySelectorAll('{PANEL} .db-thumb').length") == 5
        assert workspace.page.value(WIDER) == [], "a panel is wider than its node"
        workspace.screenshot(name_of(workspace, "first run", renderer))
    finally:
        install_base(workspace.comfyui)


@pytest.mark.parametrize("file", workflow_files(), ids=lambda file: file.stem)
def test_a_template_lies_open_and_apart(workspace: Workspace, renderer: bool, file: Path) -> None:
    workspace.open_template(file.stem)
    boxes = settled(workspace)
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        assert not overlap(first, second), (one, first, other, second)
    workspace.screenshot(name_of(workspace, file.stem, renderer))
    if file == WORKFLOW:
        assert workspace.page.value("app.canvas.ds.scale") >= LEAST_ZOOM
        left, top, right, bottom = workspace.page.value("[...app.canvas.visible_area]")
        assert all(left <= box[0] and top <= box[1] for box in boxes.values())
        assert all(box[2] <= left + right and box[3] <= top + bottom for box in boxes.values())


@IN_ONE_RENDERER
def test_a_subgraphs_widgets_are_those_of_its_names(workspace: Workspace, renderer: bool) -> None:
    """Links inside a subgraph end at a slot's number, which a new input on a node moves."""
    workspace.open_template(toybase_workflow_files()[-1].stem)
    for title, name in (("3 · Teach the first", "first_subject"), ("4 · Teach the second", "second_subject")):
        assert workspace.widget(title, "name") == name
        assert workspace.widget(title, "preset") == "balanced"


def test_the_gallery_lists_the_templates_in_their_order(workspace: Workspace) -> None:
    found = workspace.page.value("app.api.getWorkflowTemplates()")
    assert found["dreambooth-nodes"] == [file.stem for file in workflow_files()]


def test_the_chart_keeps_its_size_when_the_renderer_changes(workspace: Workspace) -> None:
    workspace.use_renderer(False)
    workspace.open_template(QUICK)
    before = settled(workspace)
    workspace.use_renderer(True)
    settled(workspace)
    workspace.use_renderer(False)
    workspace.page.value("new Promise(done => setTimeout(done, 1000))")
    assert sizes(settled(workspace)) == pytest.approx(sizes(before), abs=2)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Forty, all different."""
    files = sorted(example.SUBJECTS.glob("*/0?.png"))[:40]
    return [Path(shutil.copyfile(file, tmp_path / f"{number:02d}.png")) for number, file in enumerate(files)]


def look_at_photos(workspace: Workspace, renderer: bool) -> None:
    workspace.open_template(QUICK)
    workspace.look_at("LoadInstanceImages")
    workspace.page.wait(f"{TILES}.length === 5")


@pytest.mark.parametrize("count", [5, 11, 40])
def test_photos_lie_beside_each_other_and_scroll(
    workspace: Workspace, renderer: bool, photos: list[Path], count: int
) -> None:
    page = workspace.page
    look_at_photos(workspace, renderer)
    page.drop(photos[:count], PHOTOS)
    page.wait(f"!{node('LoadInstanceImages')}.widgets.find(w => w.name === 'folder').value.startsWith('example')", 120)
    page.wait(f"document.querySelector('.db-photos .db-says').innerText.startsWith('{count} photos')", 120)
    page.wait(f"{TILES}.length === {count} && {TILES}.every(t => t.querySelector('img').complete)", 120)
    assert page.value("document.querySelectorAll('[data-node-id] .p-invalid').length") == 0, (
        "the folder is one of the list"
    )
    rows = page.value(f"{TILES}.map(t => (b => [b.left, b.top, b.right, b.bottom])(t.getBoundingClientRect()))")
    assert all(right - left > 30 and abs((right - left) - (bottom - top)) < 2 for left, top, right, bottom in rows)
    assert not any(overlap(one, other) for one, other in combinations(rows, 2))
    grid = page.value("(g => [g.scrollHeight, g.clientHeight])(document.querySelector('.db-photos-grid'))")
    assert (grid[0] > grid[1]) == (count > 5), grid
    workspace.screenshot(name_of(workspace, f"{count} photos", renderer))


@IN_ONE_RENDERER
def test_a_photo_is_removed_and_one_that_was_deleted_vanishes(
    workspace: Workspace, renderer: bool, photos: list[Path]
) -> None:
    page = workspace.page
    look_at_photos(workspace, renderer)
    page.drop(photos[:3], PHOTOS)
    page.wait(f"{TILES}.length === 3")
    page.click(".db-photo .db-remove")
    page.wait(f"{TILES}.length === 2")
    folder = workspace.comfyui.base_directory / "input" / workspace.widget("LoadInstanceImages", "folder")
    assert (folder / "removed" / "00.png").is_file()
    (folder / "01.png").unlink()
    page.value("window.dispatchEvent(new Event('focus'))")
    page.wait(f"{TILES}.length === 1")
    assert workspace.text(".db-photos .db-says") == "1 photo: too few, add 2 to 4 others"


@IN_ONE_RENDERER
def test_an_examples_class_noun_goes_with_the_example(workspace: Workspace, renderer: bool, photos: list[Path]) -> None:
    page, asks = workspace.page, "document.querySelector('.db-photos .db-asks')?.checkVisibility()"
    look_at_photos(workspace, renderer)
    workspace.set("LoadInstanceImages", "folder", "example: pug")
    page.wait(f"{node('LoadInstanceImages')}.widgets.find(w => w.name === 'class_noun').value === 'dog'")
    page.drop(photos[:3], PHOTOS)
    page.wait(asks)
    assert workspace.widget("LoadInstanceImages", "class_noun") == ""
    assert workspace.text(".db-asks") == "What do they show? Fill in class_noun."
    workspace.screenshot(name_of(workspace, "asked for a noun", renderer))
    workspace.set("LoadInstanceImages", "class_noun", "toy")
    page.wait(f"!{asks}")
    page.drop(photos[3:5], PHOTOS)
    page.wait(f"{TILES}.length === 5")
    assert workspace.widget("LoadInstanceImages", "class_noun") == "toy", "what the user wrote stays"


@IN_ONE_RENDERER
def test_an_error_is_read_in_full_on_the_panel_until_the_next_run(workspace: Workspace, renderer: bool) -> None:
    page = workspace.page
    workspace.open_template(QUICK)
    workspace.set("LoadInstanceImages", "class_noun", " ")
    workspace.look_at("LoadInstanceImages")
    workspace.run()
    page.wait(f"document.querySelector('{ERROR}')?.checkVisibility()")
    assert "class noun" in workspace.text(ERROR)
    workspace.wait_until_idle()
    assert page.value(f"(e => e.scrollWidth <= e.clientWidth + 1)(document.querySelector('{ERROR}'))")
    workspace.screenshot(name_of(workspace, "error", renderer))
    workspace.close_dialogs()
    workspace.set("LoadInstanceImages", "class_noun", "car")
    page.value(
        f"app.graph.nodes.filter(n => !{['LoadInstanceImages']}.includes(n.type)).forEach(n => app.graph.remove(n))"
    )
    page.value(
        "(() => { const shown = LiteGraph.createNode('PreviewImage'); app.graph.add(shown);"
        f"{node('LoadInstanceImages')}.connect(1, shown, 0); }})()"
    )
    workspace.run()
    page.wait(f"!document.querySelector('{ERROR}')?.checkVisibility()")
    workspace.wait_until_idle()


@IN_ONE_RENDERER
def test_a_fresh_template_shows_nothing_of_another_run(workspace: Workspace, renderer: bool) -> None:
    page, chips = workspace.page, "document.querySelectorAll('.db-chip').length"
    workspace.open_template(QUICK)
    kept = ["LoadToyBase", "LoadInstanceImages", "PickRareToken"]
    page.value(f"app.graph.nodes.filter(n => !{kept}.includes(n.type)).forEach(n => app.graph.remove(n))")
    page.value(
        "(() => { const shown = LiteGraph.createNode('PreviewAny'); app.graph.add(shown);"
        f"{node('PickRareToken')}.connect(0, shown, 0); }})()"
    )
    workspace.run()
    page.wait(f"{chips} === 16")
    workspace.wait_until_idle()
    workspace.open_template(QUICK)
    page.value("new Promise(done => setTimeout(done, 1500))")
    assert page.value(chips) == 0
    assert page.value(f"document.querySelector('{PANEL}').dataset.status") == "idle"


def marked(workspace: Workspace) -> Any:
    return workspace.page.value("app.graph.extra.dreambooth")


def test_undo_and_a_reload_keep_the_workflow_the_same_and_a_copy_is_another(workspace: Workspace) -> None:
    workspace.use_renderer(False)
    workspace.open_template(QUICK)
    mark = marked(workspace)
    assert mark
    workspace.open_template(QUICK)
    assert marked(workspace) not in (None, mark)
