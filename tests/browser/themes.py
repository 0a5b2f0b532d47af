"""The page's palettes, and whether texts can be read in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from dreambooth_nodes.tests.browser.workspace import Workspace

LEAST_CONTRAST = 4.5
"""WCAG's, for text."""


PALETTES = ("light", "solarized", "arc", "nord", "github", "dark")
"""The host's own; it is left in its default, the last."""


COLOURS = """(style => style.getPropertyValue("--fg-color") + style.getPropertyValue("--comfy-input-bg"))
  (getComputedStyle(document.documentElement))"""


LIGHT_AND_DARK = ("light", "dark")


def in_every_palette(workspace: Workspace, palettes: Sequence[str] = PALETTES) -> Iterator[str]:
    """The name of each, while the page is in it."""
    page = workspace.page
    for palette in palettes:
        if palette != page.value("app.extensionManager.setting.get('Comfy.ColorPalette')"):
            before = page.value(COLOURS)
            page.value(f"app.extensionManager.setting.set('Comfy.ColorPalette', '{palette}')")
            page.wait(f"{COLOURS} !== {json.dumps(before)}")
        yield palette


def illegible(workspace: Workspace) -> dict[str, float]:
    """{class and beginning of a text: its contrast} of the texts of the panels that cannot be read on their ground."""
    measured = dict(workspace.page.value(CONTRASTS))
    assert measured, "no text of a panel is in sight"
    return {text: contrast for text, contrast in measured.items() if contrast < LEAST_CONTRAST}


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
    found[`${element.className} ${element.textContent.slice(0, 20)}`] = Math.round(ratio * 100) / 100;
  }
  return found;
})()"""
