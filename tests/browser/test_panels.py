"""The other nodes' panels: photos are dropped, a word is chosen, a result is loaded and deleted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from PIL import Image, ImageFilter

from dreambooth_nodes.demo import example
from dreambooth_nodes.tests.browser.workspace import NEWEST, READY, Workspace, node
from dreambooth_nodes.tests.host.graphs import training

TILES = "[...document.querySelectorAll('.db-photo')]"
FAULTS = f"{TILES}.map(t => [...t.querySelectorAll('.db-badge')].map(b => b.innerText))"


def test_dropped_photos_are_uploaded_shown_and_judged(workspace: Workspace, tmp_path: Path) -> None:
    page = workspace.page
    workspace.open_example()
    workspace.look_at("LoadInstanceImages")
    page.wait(f"{TILES}.length === 5")
    shutil.copytree(example.SUBJECTS / "teapot", tmp_path, dirs_exist_ok=True)
    Image.open(tmp_path / "04.png").filter(ImageFilter.GaussianBlur(8)).save(tmp_path / "04.png")
    shutil.copyfile(tmp_path / "00.png", tmp_path / "05.png")
    photos = sorted(tmp_path.glob("*.png"))
    page.drop(photos, ".db-photos")
    page.wait(f"{TILES}.length === 6")
    page.wait(f"{FAULTS}.flat().length === 2")
    assert page.value(FAULTS) == [[], [], [], [], ["blurred"], ["near-duplicate"]]
    assert "Nearly the same picture as 00.png" in page.value(f"{TILES}[5].getAttribute('aria-label')")
    # Another test may have dropped photos before: a number then follows the name.
    folder = workspace.comfyui.base_directory / "input" / str(workspace.widget("LoadInstanceImages", "folder"))
    assert folder.name.startswith("my subject")
    assert [file.read_bytes() for file in sorted(folder.iterdir())] == [photo.read_bytes() for photo in photos]
    workspace.screenshot("photos")


def test_photos_that_are_too_small_for_the_resolution_say_so_at_once(workspace: Workspace) -> None:
    workspace.set("LoadInstanceImages", "resolution", 512)
    workspace.page.wait(f"{FAULTS}.every(badges => badges.includes('too small'))")


def test_nouns_are_suggested_by_the_model_of_the_graph_and_a_click_fills_one_in(workspace: Workspace) -> None:
    """In a run of its own: nothing else of the graph is executed."""
    page, chips = workspace.page, "[...document.querySelectorAll('.db-photos .db-suggested .db-chip')]"
    workspace.open_example()
    workspace.set("LoadInstanceImages", "folder", "example: sitting_rabbit")
    workspace.look_at("LoadInstanceImages")
    page.click_until(".db-suggest", "document.querySelector('.db-suggest').disabled")
    page.wait(f"{chips}.length === 8")
    assert "rabbit" in page.value(f"{chips}.slice(0, 3).map(chip => chip.querySelector('b').innerText)")
    assert page.value(f"{NEWEST}.then(entry => Object.keys(entry.outputs))") == ["dreambooth_nouns"]
    second = page.value(f"{chips}[1].querySelector('b').innerText")
    page.click_until(".db-suggested .db-chip:nth-child(2)", f"{chips}[1].getAttribute('aria-pressed') === 'true'")
    assert workspace.widget("LoadInstanceImages", "class_noun") == second
    workspace.screenshot("nouns")
    workspace.set("LoadInstanceImages", "folder", "example: teapot")
    assert page.value("document.querySelector('.db-suggested').hidden"), "of other photos"


def open_candidates(workspace: Workspace) -> None:
    """Without what comes after it, the run is over at once."""
    workspace.open_example()
    kept = ["LoadToyBase", "LoadInstanceImages", "PickRareToken"]
    workspace.page.value(f"app.graph.nodes.filter(n => !{kept}.includes(n.type)).forEach(n => app.graph.remove(n))")
    workspace.page.value(
        "(() => { const shown = LiteGraph.createNode('PreviewAny'); app.graph.add(shown);"
        f"{node('PickRareToken')}.connect(1, shown, 0); }})()"
    )


def test_a_candidate_is_chosen_by_a_click_and_used_by_the_next_run(workspace: Workspace) -> None:
    page = workspace.page
    open_candidates(workspace)
    workspace.run()
    workspace.look_at("PickRareToken")
    page.wait("document.querySelectorAll('.db-chip').length === 16")
    weakest, second = page.value("[...document.querySelectorAll('.db-chip b')].slice(0, 2).map(b => b.innerText)")
    assert workspace.text(".db-chip[aria-checked=true] b") == weakest
    page.click_until(
        ".db-chip:nth-child(2)", f"document.querySelector('.db-chip[aria-checked=true] b').innerText === '{second}'"
    )
    assert workspace.widget("PickRareToken", "choice") == second
    workspace.screenshot("candidates")
    page.press("ArrowRight")
    third = workspace.text(".db-chip:nth-child(3) b")
    assert workspace.widget("PickRareToken", "choice") == third
    workspace.run()
    page.wait(f"{NEWEST}.then(entry => JSON.stringify(entry.outputs).includes('identifier: {third}'))")
    workspace.set("PickRareToken", "seed", 5)
    assert workspace.widget("PickRareToken", "choice") == ""


def test_what_the_host_answers_from_its_cache_is_shown_on_a_page_that_has_just_been_opened(
    workspace: Workspace,
) -> None:
    page, chips = workspace.page, "document.querySelectorAll('.db-chip').length"
    open_candidates(workspace)
    workspace.run()
    page.wait(f"{chips} === 16")
    workspace.wait_until_idle()
    saved = json.dumps(page.value("app.graph.serialize()"))
    page.reload()
    page.wait(READY)
    page.value(f"app.loadGraphData({saved})")
    page.wait(f"{chips} === 16")
    workspace.set("PickRareToken", "seed", 6)
    assert page.value(chips) == 0, "of another draw"
    workspace.set("PickRareToken", "seed", 0)
    workspace.run()
    page.wait(f"{chips} === 16")
    assert page.value(f"{NEWEST}.then(entry => JSON.stringify(entry.status.messages).includes('execution_cached'))")


def test_scores_of_pictures_are_a_table_on_the_node_that_fits_it(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_nodes("LoadInstanceImages", "MeasureFidelity")
    for output, slot in enumerate(("subject", "images")):
        workspace.connect("LoadInstanceImages", output, "MeasureFidelity", slot)
    for name, value in {"folder": "example: racing_car", "class_noun": "car", "resolution": 64}.items():
        workspace.set("LoadInstanceImages", name, value)
    # Cells of a table that is out of sight have no text of their own.
    workspace.look_at("MeasureFidelity")
    workspace.run()
    rows = "[...document.querySelectorAll('.db-table tbody tr')].map(row => row.innerText.split('\\t'))"
    page.wait(f"{rows}.length === 5")
    # The photos themselves: each returns a photo, and no prompt was given.
    assert [(row[2], row[4]) for row in page.value(rows)] == [("–", "yes")] * 5
    assert page.value("(s => s.scrollWidth <= s.clientWidth + 1)(document.querySelector('.db-scroll'))")
    workspace.screenshot("fidelity")


def test_a_result_is_loaded_and_deleted_from_the_history(workspace: Workspace) -> None:
    page = workspace.page
    for seed in (21, 22):
        workspace.comfyui.run(training(workspace.comfyui, seed=seed, name="listed"))
    workspace.open_nodes("LoadPersonalizedModel")
    workspace.look_at("LoadPersonalizedModel")
    first = "loras/listed_00001.safetensors"
    row = f".db-list [data-path='{first}']"
    page.wait(f'!!document.querySelector("{row}")')
    assert "mdt car" in workspace.text(row)
    page.value(f'document.querySelector("{row}").scrollIntoView()')
    page.click_until(f"{row} summary", f'document.querySelector("{row} details").open')
    page.wait(f'document.querySelector("{row} .db-settings").innerText.includes("rank")')
    workspace.screenshot("history")
    chosen = "widgets.find(w => w.name === 'personalized_model').value"
    page.click_until(f"{row} .db-load", f"{node('LoadPersonalizedModel')}.{chosen} === '{first}'")
    file = workspace.comfyui.output_directory / first
    page.click(f"{row} .db-delete")
    page.wait("!!document.querySelector('[role=dialog]')")
    assert file.is_file()
    workspace.screenshot("confirmation")
    page.value("[...document.querySelectorAll('[role=dialog] button')].find(b => b.innerText === 'Delete').click()")
    page.wait(f'!document.querySelector("{row}")')
    assert not file.exists()
    assert (workspace.comfyui.output_directory / "loras" / "listed_00002.safetensors").is_file()
