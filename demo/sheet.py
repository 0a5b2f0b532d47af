"""The contact sheet: the subject's photos, then the base's answer beside the personalized one, prompt by prompt."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, MARGIN, GUTTER = 200, 8, 40, 56
PAPER, INK, FAINT, ACCENT = "#f7f5f0", "#23211d", "#8a857a", "#b4532a"
CAPTION_HEIGHT, HEADING_HEIGHT = 40, 112


@dataclass(frozen=True)
class Row:
    """One prompt: the base's pictures and, of the same seeds, the personalized model's."""

    base_prompt: str
    prompt: str
    base: list[Image.Image]
    personalized: list[Image.Image]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class Sheet:
    """A page that grows downwards as strips of pictures are put on it."""

    def __init__(self, columns: int) -> None:
        self.width = 2 * MARGIN + GUTTER + 2 * columns * CELL + 2 * (columns - 1) * GAP
        self.right_half = MARGIN + columns * CELL + (columns - 1) * GAP + GUTTER
        self._strips: list[Image.Image] = []

    def strip(self, height: int) -> ImageDraw.ImageDraw:
        """Add an empty strip and return the pen for it."""
        self._strips.append(Image.new("RGB", (self.width, height), PAPER))
        return ImageDraw.Draw(self._strips[-1])

    def heading(self, title: str, subtitle: str) -> None:
        pen = self.strip(HEADING_HEIGHT)
        pen.text((MARGIN, 30), title, INK, font(36))
        pen.text((MARGIN, 80), subtitle, FAINT, font(18))

    def captions(self, *captions: tuple[int, str, str]) -> None:
        """Lines of text above the next pictures: (left edge, text, colour)."""
        pen = self.strip(CAPTION_HEIGHT)
        for left, text, colour in captions:
            pen.text((left, 10), text, colour, font(20))

    def pictures(self, *rows: tuple[int, list[Image.Image]]) -> None:
        """Pictures side by side: (left edge, pictures)."""
        self.strip(CELL + GAP)
        for left, pictures in rows:
            for index, picture in enumerate(pictures):
                shown = picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
                self._strips[-1].paste(shown, (left + index * (CELL + GAP), 0))

    def page(self) -> Image.Image:
        """All strips, one below the other."""
        whole = Image.new("RGB", (self.width, sum(s.height for s in self._strips) + MARGIN), PAPER)
        top = 0
        for strip in self._strips:
            whole.paste(strip, (0, top))
            top += strip.height
        return whole


def contact_sheet(title: str, subtitle: str, photos: list[Image.Image], rows: list[Row]) -> Image.Image:
    """The whole page. Every row has as many pictures of the base as of the personalized model."""
    sheet = Sheet(max(len(row.personalized) for row in rows))
    fitting = (sheet.width - 2 * MARGIN + GAP) // (CELL + GAP)
    sheet.heading(title, subtitle)
    sheet.captions((MARGIN, f"the {len(photos)} photos", FAINT))
    sheet.pictures((MARGIN, photos[:fitting]))
    for row in rows:
        sheet.captions((MARGIN, f"base: {row.base_prompt}", INK), (sheet.right_half, row.prompt, ACCENT))
        sheet.pictures((MARGIN, row.base), (sheet.right_half, row.personalized))
    return sheet.page()
