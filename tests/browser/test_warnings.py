"""What a user is warned of: an option that changes nothing, and a subject on another base than its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import BASE_NAME
from dreambooth_nodes.tests.browser.themes import LIGHT_AND_DARK, PALETTES, illegible, in_every_palette
from dreambooth_nodes.tests.browser.workspace import PANEL, Workspace
from dreambooth_nodes.tests.host.graphs import training
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors

IN_PALETTES = pytest.mark.parametrize(
    "palettes", [LIGHT_AND_DARK, pytest.param(PALETTES, marks=pytest.mark.slow)], ids=["two palettes", "all palettes"]
)
TOASTS = "[...document.querySelectorAll('.p-toast-message')].map(t => t.innerText).join(' ')"
ANOTHER = "another.safetensors"


@IN_PALETTES
def test_a_warning_is_a_toast_and_stays_on_the_panel(workspace: Workspace, palettes: tuple[str, ...]) -> None:
    page, said = workspace.page, "shuffle_tags is on and changes nothing"
    workspace.open_example(steps=3, seed=len(palettes), name="warned")
    workspace.set("DreamBoothOptions", "shuffle_tags", True)
    workspace.set("DreamBoothOptions", "sample_count", 0)
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    page.wait(f"{TOASTS}.includes('{said}')")
    for palette in in_every_palette(workspace, palettes):
        workspace.screenshot(f"warning in {palette}")
        assert illegible(workspace) == {}, palette
    assert said in workspace.text(f"{PANEL} .db-warnings")
    box = "(w => [w.scrollWidth <= w.clientWidth, w.checkVisibility()])"
    assert page.value(f"{box}(document.querySelector('{PANEL} .db-warnings'))") == [True, True], "read in full"
    workspace.wait_until_idle()
    assert said in workspace.text(f"{PANEL} .db-warnings"), "the training has ended, and the warning holds"
    ends = "(p => p.querySelector('.db-says').getBoundingClientRect().bottom <= p.getBoundingClientRect().bottom)"
    assert page.value(f"{ends}(document.querySelector('{PANEL}'))"), "how it ended is in sight below the warning"


@IN_PALETTES
def test_a_subject_on_another_base_than_its_own_says_so(workspace: Workspace, palettes: tuple[str, ...]) -> None:
    page = workspace.page
    write_another_base(workspace.comfyui)
    workspace.comfyui.run(training(workspace.comfyui, seed=31, name="applied"))
    workspace.open_nodes("CheckpointLoaderSimple", "LoadPersonalizedModel", "ApplyPersonalizedModel", "PreviewAny")
    for output, slot in enumerate(("model", "clip")):
        workspace.connect("CheckpointLoaderSimple", output, "ApplyPersonalizedModel", slot)
    workspace.connect("LoadPersonalizedModel", 0, "ApplyPersonalizedModel", "personalized_model")
    workspace.connect("ApplyPersonalizedModel", 2, "PreviewAny", "source")
    workspace.set("LoadPersonalizedModel", "personalized_model", "loras/applied_00001.safetensors")
    workspace.look_at("ApplyPersonalizedModel")
    alert = ".db-card .db-alert:not(.db-error)"
    for name in (BASE_NAME, ANOTHER):
        workspace.set("CheckpointLoaderSimple", "ckpt_name", name)
        workspace.run()
        page.wait(f"!!document.querySelector('{alert}') === {str(name == ANOTHER).lower()}"
                  " && !!document.querySelector('.db-card .db-trigger')")  # fmt: skip
        workspace.wait_until_idle()
    assert "not the model it was trained on" in workspace.text(alert)
    assert page.value(f"document.querySelector('{alert}').getAttribute('role')") == "alert"
    assert page.value("(card => card.scrollHeight <= card.clientHeight)(document.querySelector('.db-card'))"), "cut off"
    for palette in in_every_palette(workspace, palettes):
        workspace.screenshot(f"another base in {palette}")
        assert illegible(workspace) == {}, palette


@IN_PALETTES
def test_what_became_of_a_run_is_legible_in_the_history(workspace: Workspace, palettes: tuple[str, ...]) -> None:
    page, name = workspace.page, "applied_00001.safetensors"
    # Of the run above, as it is written when it is cancelled.
    for record in (workspace.comfyui.output_directory / "dreambooth" / "runs").glob("*/run.json"):
        run = json.loads(record.read_text())
        if [Path(entry["file"]).name for entry in run["files"]] == [name]:
            record.write_text(json.dumps({**run, "status": "stopped"}))
    workspace.open_nodes("LoadPersonalizedModel")
    workspace.set("LoadPersonalizedModel", "personalized_model", f"loras/{name}")
    workspace.look_at("LoadPersonalizedModel")
    page.wait("!!document.querySelector('.db-list .db-chosen .db-state')?.checkVisibility()")
    for palette in in_every_palette(workspace, palettes):
        workspace.screenshot(f"history in {palette}")
        assert illegible(workspace) == {}, palette


def write_another_base(comfyui: ComfyUI) -> Path:
    """The embedded base with a denoiser that was trained on, as it were."""
    folder = comfyui.base_directory / "models" / "checkpoints"
    tensors = read_tensors(folder / BASE_NAME)
    changed = {
        name: tensor * 1.05 if name.startswith("model.diffusion_model.") and tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    return write_tensors(changed, folder / ANOTHER, read_metadata(folder / BASE_NAME))
