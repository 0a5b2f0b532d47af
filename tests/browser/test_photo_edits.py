"""Photos are captioned, masked, sorted and left out on their panel; the folder changes only when asked."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.demo import example
from dreambooth_nodes.tests.browser.workspace import NEWEST, READY, Workspace, node

LOADER = "LoadInstanceImages"
NAMES = "[...document.querySelectorAll('.db-photo')].map(tile => tile.dataset.name)"
SAYS = "document.querySelector('.db-photos .db-says').innerText"
TEXT = "a teapot, says “tea”"


def tile(name: str) -> str:
    return f".db-photo[data-name='{name}']"


@pytest.fixture
def folder(workspace: Workspace) -> Iterator[Path]:
    """Four photos of the user's own, on a node of the classic canvas whose photos go into a preview."""
    folder = workspace.comfyui.base_directory / "input" / "to be edited"
    shutil.copytree(example.SUBJECTS / "teapot", folder)
    (folder / "04.png").unlink()
    workspace.page.reload()
    workspace.page.wait(READY)
    workspace.open_nodes(LOADER, "PreviewImage")
    workspace.connect(LOADER, 1, "PreviewImage", "images")
    for name, value in {"folder": folder.name, "resolution": 64}.items():
        workspace.set(LOADER, name, value)
    workspace.look_at(LOADER)
    workspace.page.wait(f"{NAMES}.length === 4")
    yield folder
    shutil.rmtree(folder)


def edits(workspace: Workspace, folder: Path) -> dict[str, object]:
    text = str(workspace.widget(LOADER, "edits"))
    return dict(json.loads(text)[folder.name]) if text else {}


def previewed(workspace: Workspace) -> list[np.ndarray]:  # type: ignore[type-arg]
    """The pictures that a run shows."""
    workspace.run()
    workspace.wait_until_idle()
    found = workspace.page.value(f"{NEWEST}.then(entry => Object.values(entry.outputs).flatMap(o => o.images ?? []))")
    folder = workspace.comfyui.base_directory / "temp"
    return [np.asarray(Image.open(folder / image["filename"]).convert("RGB")) for image in found]


def test_a_caption_and_a_mask_are_kept_in_the_workflow_and_written_when_asked(
    workspace: Workspace, folder: Path
) -> None:
    page = workspace.page
    page.click_until(tile("01.png"), "!!document.querySelector('.db-dialog canvas')")
    page.type(TEXT)
    page.drag(".db-dialog .db-shade", (120, 60))
    workspace.screenshot("photo_editor")
    page.click(".db-dialog .db-done")
    page.wait(f"{SAYS}.includes('masks: 1')")
    assert workspace.text(f"{tile('01.png')} .db-written") == TEXT
    assert "captions: 1" in page.value(SAYS)
    before = edits(workspace, folder)
    assert before["captions"] == {"01.png": TEXT}
    assert sorted(path.name for path in folder.iterdir()) == [f"0{number}.png" for number in range(4)]
    saved = json.dumps(page.value("app.graph.serialize()"))
    page.reload()
    page.wait(READY)
    page.value(f"app.loadGraphData({saved})")
    page.wait(f"{SAYS}.includes('masks: 1')")
    assert edits(workspace, folder) == before, "in the workflow's file"
    workspace.look_at(LOADER)
    workspace.screenshot("photos_edited")
    page.click(".db-write")
    page.wait("document.querySelector('.db-photos .db-write').hidden")
    page.wait(f"{SAYS}.includes('masks: 1')")
    assert edits(workspace, folder) == {}
    assert (folder / "01.txt").read_text(encoding="utf-8").strip() == TEXT
    mask = np.asarray(Image.open(io.BytesIO((folder / "01-masklabel.png").read_bytes())))
    photo = Image.open(folder / "01.png")
    assert mask.shape == (photo.height, photo.width)
    assert mask[photo.height // 2, photo.width // 2] == 255 and mask[0, 0] == 0


def test_photos_are_left_out_and_sorted_and_run_so(workspace: Workspace, folder: Path) -> None:
    page = workspace.page
    plain = previewed(workspace)
    assert len(plain) == 4
    page.drag_onto(tile("03.png"), tile("00.png"))
    page.wait(f"{NAMES}[0] === '03.png'")
    assert page.value(NAMES) == ["03.png", "00.png", "01.png", "02.png"]
    assert not page.value("!!document.querySelector('.db-dialog')"), "a dragged photo is not opened"
    page.click(f"{tile('01.png')} .db-exclude")
    page.wait(f"{SAYS}.includes('left out: 1')")
    assert edits(workspace, folder) == {"order": page.value(NAMES), "excluded": ["01.png"]}
    for shown, number in zip(previewed(workspace), (3, 0, 2), strict=True):
        assert np.array_equal(shown, plain[number])
    page.click(".db-look")
    page.wait("document.querySelectorAll('.db-dialog tbody tr').length === 4")
    rows = page.value("[...document.querySelectorAll('.db-dialog tbody tr')].map(row => row.innerText.split('\\t'))")
    assert [(row[0], row[3]) for row in rows] == [
        ("03.png", "33.3"), ("00.png", "33.3"), ("01.png", "not used"), ("02.png", "33.3"),
    ]  # fmt: skip
    workspace.screenshot("photo_report")
    page.press("Escape")
    page.click(f"{tile('01.png')} .db-exclude")
    page.wait(f"!{SAYS}.includes('left out')")


def test_what_cannot_be_read_is_said_in_the_editor(workspace: Workspace, folder: Path) -> None:
    page = workspace.page
    (folder / "00.png").write_bytes(b"torn")
    page.click_until(tile("00.png"), "!!document.querySelector('.db-dialog [role=alert]')")
    assert "00.png" in workspace.text(".db-dialog [role=alert]")
    page.press("Escape")
    page.wait("!document.querySelector('.db-dialog')")
    assert workspace.widget(LOADER, "edits") == ""
    assert page.value(f"{node(LOADER)}.widgets.find(w => w.name === 'edits').hidden")


def test_steps_of_a_kind_of_subject_follow_the_photos_that_are_used(workspace: Workspace, folder: Path) -> None:
    page = workspace.page
    page.value("(train => { app.graph.add(train); train.pos = [900, 0]; })(LiteGraph.createNode('DreamBoothTrain'))")
    workspace.connect(LOADER, 0, "DreamBoothTrain", "subject")
    workspace.set("DreamBoothTrain", "preset", "object")
    assert workspace.widget("DreamBoothTrain", "steps") == 0
    line = "document.querySelector('.db-preset').innerText"
    page.wait(f"{line}.includes('640 steps')")
    page.click(f"{tile('01.png')} .db-exclude")
    page.wait(f"{line}.includes('480 steps')")
    workspace.set("DreamBoothTrain", "method", "full")
    page.wait(f"{line}.includes('240 steps')")
    workspace.set("DreamBoothTrain", "preset", "fast")
    assert workspace.widget("DreamBoothTrain", "steps") == 200


def test_the_text_that_keeps_the_edits_is_not_shown_in_either_renderer(workspace: Workspace, folder: Path) -> None:
    page = workspace.page
    page.click(f"{tile('01.png')} .db-exclude")
    page.wait(f"{SAYS}.includes('left out: 1')")
    workspace.use_renderer(nodes_2=True)
    try:
        page.wait("!!document.querySelector('[data-node-id] .db-photos')")
        shown = "[...document.querySelectorAll('[data-node-id] input, [data-node-id] textarea')].map(i => i.value)"
        assert not [text for text in page.value(shown) if "excluded" in str(text)]
        workspace.screenshot("photos_nodes_2")
    finally:
        workspace.use_renderer(nodes_2=False)
