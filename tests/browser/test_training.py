"""A training as its user sees it: losses, samples, the two ways to stop, and a reload in the middle."""

from __future__ import annotations

from dreambooth_nodes.demo import example
from dreambooth_nodes.tests.browser.workspace import PANEL, POINTS, Workspace

STEPS = 400
THUMBS = f"document.querySelectorAll('{PANEL} .db-thumb img').length"
LOADED = f"[...document.querySelectorAll('{PANEL} .db-thumb img')].filter(i => i.complete && i.naturalWidth).length"


def test_losses_and_samples_arrive_survive_a_reload_and_are_kept_on_stop(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_example(steps=STEPS, seed=1, name="kept")
    workspace.set("GenerateClassPriors", "seed", 77)
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    page.wait("document.querySelector('.db-count').getAttribute('aria-valuenow') === '4'")
    assert workspace.text(".db-priors .db-figures").split("\n") == ["4 of 4", "0 reused", "4 new"]
    page.wait(f"{LOADED} >= 1 && {POINTS} >= 12")
    assert "of 400" in workspace.text(f"{PANEL} .db-figures"), workspace.text(PANEL)
    assert page.value(f"document.querySelectorAll('{PANEL} .db-smooth').length") == 2
    workspace.screenshot("training")

    before = page.value(POINTS)
    page.reload()
    page.wait(f"{POINTS} >= {before}")
    workspace.look_at("DreamBoothTrain")
    page.wait(f"{LOADED} >= 1 && {POINTS} > {before}")
    drawn = page.value(f"document.querySelector('{PANEL} .db-raw.db-instance').getAttribute('d')")
    assert drawn.startswith("M0.0 ")
    assert drawn.count("L") >= before

    page.click(f"{PANEL} .db-stop")
    workspace.wait_for_status("stopped")
    assert workspace.text(f"{PANEL} .db-says") == "Stopped and kept: kept_00001.safetensors"
    workspace.wait_until_idle()
    run = example.newest_run(workspace.comfyui)
    assert run["status"] == "kept"
    page.wait(f"{POINTS} === {len(run['losses'])}", 5)
    # The rest of the workflow ran on with it.
    workspace.look_at("ApplyPersonalizedModel")
    page.wait("!!document.querySelector('.db-card .db-trigger')")
    assert f"{len(run['losses'])} steps" in workspace.text(".db-card")
    assert list((workspace.comfyui.output_directory).glob("**/*.png"))


def test_a_sample_is_enlarged_and_turned_by_keys(workspace: Workspace) -> None:
    page = workspace.page
    workspace.look_at("DreamBoothTrain")
    assert page.value(THUMBS) >= 1
    page.value(f"document.querySelector('{PANEL} .db-strip').scrollLeft = 0")
    page.click(f"{PANEL} .db-thumb")
    page.wait("document.querySelector('dialog.db-dialog')?.open")
    assert workspace.text(".db-caption").startswith("step 10")
    page.press("ArrowLeft")
    last = page.value(f"[...document.querySelectorAll('{PANEL} .db-step')].at(-1).innerText")
    assert workspace.text(".db-caption").startswith(f"step {last}")
    page.press("Escape")
    page.wait("!document.querySelector('dialog.db-dialog')")


def test_cancel_of_the_host_saves_what_was_trained_and_ends_the_prompt(workspace: Workspace) -> None:
    page = workspace.page
    workspace.open_example(steps=STEPS, seed=2, name="cancelled")
    workspace.run()
    workspace.look_at("DreamBoothTrain")
    page.wait(f"document.querySelector('{PANEL}').dataset.status === 'running' && {POINTS} >= 3")
    workspace.cancel()
    workspace.wait_for_status("stopped")
    workspace.wait_until_idle()
    assert workspace.text(f"{PANEL} .db-says") == "Stopped and kept: cancelled_00001.safetensors"
    assert page.value(f"document.querySelector('{PANEL} .db-stop').disabled")
    assert (
        page.value("fetch('/api/history').then(r => r.json()).then(all => Object.values(all).at(-1).status.status_str)")
        == "error"
    )


def test_the_panel_is_legible_in_both_themes(workspace: Workspace) -> None:
    """WCAG's contrast of 4.5 for every text of the panels, against the panel's own ground."""
    page = workspace.page
    for theme in ("dark", "light"):
        page.value(f"app.extensionManager.setting.set('Comfy.ColorPalette', '{theme}')")
        page.wait(f"document.querySelector('.dark-theme') ? {int(theme == 'dark')} : {int(theme == 'light')}")
        workspace.look_at("DreamBoothTrain")
        workspace.screenshot(f"training in {theme}")
        contrasts = page.value(CONTRASTS)
        assert len(contrasts) > 10
        assert min(contrasts.values()) >= 4.5, (theme, contrasts)


CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = {};
  for (const element of document.querySelectorAll(".db-panel *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.disabled || !element.checkVisibility()) continue;
    const grounds = [];
    for (let at = element; at && !at.classList.contains("dom-widget"); at = at.parentElement)
      grounds.unshift(getComputedStyle(at).backgroundColor);
    const [text, ground] = [light(paint([...grounds, getComputedStyle(element).color])), light(paint(grounds))];
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    found[`${element.className} ${element.textContent.slice(0, 20)}`] = Math.round(ratio * 10) / 10;
  }
  return found;
})()"""
