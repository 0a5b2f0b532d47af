"""A training as its user sees it: losses, samples, the two ways to stop, and a reload in the middle."""

from __future__ import annotations

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.tests.browser.themes import illegible, in_every_palette
from dreambooth_nodes.tests.browser.workspace import NEWEST, PANEL, POINTS, Workspace, node

STEPS, RESUMED_STEPS = 400, 60
LISTEN = f"""(says => new MutationObserver(() => (window.said ??= []).push(says.innerText)).observe(
  says, {{ childList: true, characterData: true, subtree: true }}
))(document.querySelector('{PANEL} .db-says'))"""
"""Keeps every line that the panel says from now on in `window.said`."""
NARROW = f"(n => n.setSize([n.computeSize()[0], n.size[1]]))({node('DreamBoothTrain')})"
"""Makes the node as wide as one that a user adds."""
CUT_OFF = f"""[...document.querySelectorAll('{PANEL} .db-phases li, {PANEL} .db-says')].filter((part) => {{
  const [inner, outer] = [part, part.closest('{PANEL}')].map((element) => element.getBoundingClientRect());
  return part.checkVisibility() && (inner.right > outer.right || part.scrollHeight > part.clientHeight + 1);
}}).map((part) => part.innerText)"""
"""What of the panel is not read in full."""
DRAWN = f"document.querySelector('{PANEL} .db-raw.db-instance').getAttribute('d')"
THUMBS = f"document.querySelectorAll('{PANEL} .db-thumb img').length"
# Of the drawn loss, from the first step on.
LINES = f"(d => d.startsWith('M0.0 ') && d.split('L').length - 1)({DRAWN})"
LOADED = f"[...document.querySelectorAll('{PANEL} .db-thumb img')].filter(i => i.complete && i.naturalWidth).length"


def test_losses_and_samples_arrive_survive_a_reload_and_are_kept_on_stop(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_example(steps=STEPS, seed=1, name="kept")
    workspace.set("GenerateClassPriors", "seed", 77)
    page.value(LISTEN)
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    page.wait("document.querySelector('.db-count').getAttribute('aria-valuenow') === '4'")
    assert "Class images are drawn first." in page.value("window.said")
    assert workspace.text(".db-priors .db-figures").split("\n") == ["4 of 4", "0 reused", "4 new"]
    page.wait(f"{LOADED} >= 1 && {POINTS} >= 12")
    assert "of 400" in workspace.text(f"{PANEL} .db-figures[aria-live]"), workspace.text(PANEL)
    assert page.value(f"document.querySelectorAll('{PANEL} .db-smooth').length") == 2
    workspace.screenshot("training")

    before = page.value(POINTS)
    page.reload()
    page.wait(f"{POINTS} >= {before}")
    workspace.look_at("DreamBoothTrain")
    page.wait(f"{LOADED} >= 1 && {POINTS} > {before}")
    assert page.value(LINES) >= before

    page.click_until(f"{PANEL} .db-stop", f"document.querySelector('{PANEL} .db-stop').disabled")
    workspace.wait_for_status("kept")
    assert workspace.text(f"{PANEL} .db-says") == "Stopped and kept: kept_00001.safetensors"
    workspace.wait_until_idle()
    run = example.newest_run(workspace.comfyui)
    assert run["status"] == "kept"
    page.wait(f"{POINTS} === {len(run['losses'])}")
    # The rest of the workflow ran on with it.
    page.wait(
        "fetch('/dreambooth/outputs').then(r => r.json())"
        f".then(all => all.some(one => one.ui.dreambooth_card?.[0].steps === {len(run['losses'])}))"
    )
    page.wait("app.graph.nodes.find(n => n.title === 'Your subject').imgs?.length === 1")


def test_a_sample_is_enlarged_and_turned_by_keys(workspace: Workspace) -> None:
    page = workspace.page
    workspace.look_at("DreamBoothTrain")
    assert page.value(THUMBS) >= 1
    page.value(f"document.querySelector('{PANEL} .db-strip').scrollLeft = 0")
    page.click(f"{PANEL} .db-thumb")
    page.wait("document.querySelector('dialog.db-dialog')?.open")
    assert workspace.text(".db-caption").startswith("step 10")
    page.press("ArrowLeft")
    last = page.value(f"[...document.querySelectorAll('{PANEL} .db-step')].at(-1).innerText").removeprefix("★ ")
    assert workspace.text(".db-caption").startswith(f"step {last}")
    page.press("Escape")
    page.wait("!document.querySelector('dialog.db-dialog')")


def test_cancel_of_the_host_saves_what_was_trained_and_the_same_queued_again_goes_on(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_example(steps=RESUMED_STEPS, seed=2, name="cancelled")
    workspace.set("DreamBoothTrain", "sample_every", 40)
    workspace.run()
    page.value(NARROW)
    workspace.look_at("DreamBoothTrain")
    page.wait(f"document.querySelector('{PANEL}').dataset.status === 'running' && {POINTS} >= 3")
    assert page.value(CUT_OFF) == []
    workspace.cancel()
    workspace.wait_for_status("stopped")
    workspace.wait_until_idle()
    cancelled = "Cancelled, saved as cancelled_00001.safetensors. Run goes on from there."
    assert workspace.text(f"{PANEL} .db-says") == cancelled
    assert page.value(CUT_OFF) == []
    assert page.value(f"document.querySelector('{PANEL} .db-stop').disabled")
    assert page.value(f"{NEWEST}.then(entry => entry.status.status_str)") == "error"

    # The page may not have drawn the last step yet.
    before = len(example.newest_run(workspace.comfyui)["losses"])
    assert 3 <= before < RESUMED_STEPS
    page.wait(f"{POINTS} === {before}")
    workspace.run()
    page.wait(f"document.querySelector('{PANEL} .db-says').innerText === 'Goes on after step {before}.'")
    page.wait(f"{POINTS} > {before}")
    workspace.screenshot("resumed")
    assert page.value(LINES) >= before
    workspace.wait_for_status("finished")
    assert workspace.text(f"{PANEL} .db-says") == "Finished: cancelled_00002.safetensors"
    page.wait(f"{POINTS} === {RESUMED_STEPS}")
    workspace.wait_until_idle()
    run = example.newest_run(workspace.comfyui)
    assert [point["step"] for point in run["losses"]] == list(range(1, RESUMED_STEPS + 1))
    assert [entry["step"] for entry in run["files"]] == [before, RESUMED_STEPS]


@pytest.mark.slow
def test_a_scored_step_is_made_the_result_by_a_click(workspace: Workspace) -> None:
    page, choose = workspace.page, "dialog.db-dialog .db-choose"
    text = f"document.querySelector('{choose}').innerText"
    workspace.open_example(steps=20, seed=3, name="chosen")
    workspace.set("DreamBoothTrain", "score_every", 10)
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    workspace.wait_for_status("finished")
    workspace.wait_until_idle()
    result = example.newest_run(workspace.comfyui)["files"][-1]["step"]
    page.wait(f"[...document.querySelectorAll('{PANEL} .db-step')].some(one => one.innerText === '★ {result}')")
    page.value(f"document.querySelector('{PANEL} .db-strip').scrollLeft = 0")
    page.click(f"{PANEL} .db-thumb")
    page.wait("document.querySelector('dialog.db-dialog')?.open")
    if result == 10:
        assert page.value(f"{text} === 'This is the result' && document.querySelector('{choose}').disabled")
        page.press("ArrowRight")
    page.wait(f"{text} === 'Make this the result'")
    workspace.screenshot("choosing")
    page.click(choose)
    page.wait(f"{text} === 'This is the result'")
    page.press("Escape")
    chosen = example.newest_run(workspace.comfyui)
    assert chosen["files"][-1]["step"] == 30 - result and "chosen by the user" in chosen["choice"]
    name = chosen["files"][-1]["file"].removeprefix("loras/")
    page.wait(f"document.querySelector('{PANEL} .db-says').innerText === 'Finished: {name}'")


@pytest.mark.slow
def test_a_run_of_a_host_that_was_killed_is_shown_as_lost_and_goes_on(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_example(steps=RESUMED_STEPS, seed=4, name="lost")
    workspace.set("DreamBoothTrain", "sample_every", 0)
    workspace.set("DreamBoothOptions", "state_seconds", 0.01)
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    page.wait(f"document.querySelector('{PANEL}').dataset.status === 'running' && {POINTS} >= 3")
    workspace.comfyui.kill()
    workspace.comfyui.restart()
    workspace.wait_for_status("lost")
    assert page.value(f"document.querySelector('{PANEL} .db-stop').disabled")
    said = "ComfyUI has lost this run. Run goes on from its last saved state."
    assert workspace.text(f"{PANEL} .db-says") == said
    workspace.run()
    page.wait(f"document.querySelector('{PANEL} .db-says').innerText.startsWith('Goes on after step ')")
    workspace.wait_for_status("finished")
    page.wait(f"{POINTS} === {RESUMED_STEPS}")
    workspace.wait_until_idle()


def test_the_panel_is_legible_in_every_palette(workspace: Workspace) -> None:
    workspace.look_at("DreamBoothTrain")
    for palette in in_every_palette(workspace):
        workspace.screenshot(f"training in {palette}")
        assert illegible(workspace) == {}, palette
