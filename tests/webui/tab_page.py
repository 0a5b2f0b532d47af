"""The tab as a user's hands meet it, in either Gradio."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.tests.webui.conftest import SUBJECT, Served
from dreambooth_nodes.tests.webui.environment import ROOT
from dreambooth_nodes.trainer.options.setting import GROUPS

PATIENCE = 1000 * HANG_SECONDS
"""Milliseconds, as Playwright has them."""
RANK = 4
SAID = {
    "class_noun": "dog",
    "identifier": "olt",
    "name": "spotty",
    "priors": 1,
    "steps": 3,
    "rank": RANK,
    "sample_count": 1,
}


STILL = """document.addEventListener('DOMContentLoaded', () => document.head.insertAdjacentHTML('beforeend',
  '<style>*, ::before, ::after { animation: none !important; transition: none !important }</style>'))"""
"""What waits pulses in Gradio: without a GPU the cores that train draw every picture of it."""


STYLED = f"""document.addEventListener('DOMContentLoaded', () => {{
  const style = document.createElement('style');
  style.textContent = {json.dumps((ROOT / "style.css").read_text(encoding="utf-8"))};
  document.head.append(style);
}})"""
"""A WebUI loads the style.css of every extension."""


def new_page(chromium: Any, url: str) -> Any:
    """A page of its own, with our tab open."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1400})
    page.set_default_timeout(PATIENCE)
    for script in (STILL, STYLED):
        page.add_init_script(script)
    page.goto(url)
    open_tab(page, "DreamBooth")
    await_ready(page)
    return page


def open_tab(page: Any, name: str) -> None:
    page.locator("#tabs button", has_text=name).first.click()


def await_ready(page: Any) -> None:
    """Until what the tab does on loading is done: the form is as it was, and the drop zone is reachable by keyboard."""
    page.wait_for_function(
        """() => {
            const zone = document.querySelector('#dreambooth_photos input[type=file]');
            return window.dreamboothFormIsThere && (!zone || zone.parentElement.tabIndex === 0);
        }"""
    )


def field(page: Any, name: str) -> Any:
    return page.locator(f"#{name} textarea, #{name} input").first


def fill(page: Any, name: str, value: object) -> None:
    field(page, name).fill(str(value))
    field(page, name).press("Tab")


def drop(page: Any, *files: Path) -> None:
    page.locator("#dreambooth_photos input[type=file]").set_input_files([str(file) for file in files])


def drag_and_drop(page: Any, *files: Path) -> None:
    """As a file manager gives them, where `drop` is a chooser's way."""
    page.locator("#dreambooth_photos input[type=file]").locator("..").evaluate(
        """(zone, files) => {
            const dataTransfer = new DataTransfer();
            for (const [name, text] of files)
                dataTransfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
            zone.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files],
    )


def slow_down(page: Any) -> None:
    """Every request takes at least a second from now on."""
    network = {"offline": False, "latency": 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)


def ask(page: Any) -> None:
    """Photos and settings of one small training."""
    drop(page, *sorted(SUBJECT.glob("*.png")))
    page.locator("#dreambooth_thumbnails img").nth(4).wait_for()
    unfold(page)
    for name, value in SAID.items():
        fill(page, f"dreambooth_{name}", value)


def add_list_button(page: Any) -> None:
    """The WebUI's own button that lists LoRAs anew; it counts how often it was pressed."""
    page.evaluate(
        """() => {
            const button = document.createElement('button');
            button.id = 'txt2img_lora_extra_refresh';
            button.onclick = () => { window.listed = (window.listed || 0) + 1; };
            document.body.append(button);
        }"""
    )


def unfold(page: Any) -> None:
    """Open the advanced settings, and every section of them."""
    for name in ("advanced", *(f"section_{group}" for group in GROUPS)):
        page.locator(f"#dreambooth_{name} > .label-wrap").first.click()


def said(page: Any, where: str, text: str) -> None:
    """Wait until a sentence is there."""
    page.locator(f"#dreambooth_{where}").get_by_text(text).first.wait_for()


def offered(page: Any, name: str, text: str) -> Any:
    """A choice of a dropdown, opened until it is there: choices that come later do not change an open list."""
    control = page.locator(f"#{name} input")
    for _ in range(500):
        control.click()
        choice = page.locator(f"#{name} li", has_text=text)
        if choice.count() or _comes(choice):
            return choice
        control.blur()
    raise AssertionError(f"{name} never offered {text!r}")


def _comes(choice: Any) -> bool:
    from playwright.sync_api import TimeoutError as NotYet

    try:
        choice.wait_for(timeout=3000)
    except NotYet:
        return False
    return True


def loras(webui: Served) -> list[Path]:
    return sorted((webui.data / "models" / "Lora").glob("*.safetensors"))


def status(page: Any) -> Any:
    return page.locator("#dreambooth_status")
