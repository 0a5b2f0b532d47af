"""The pictures of the template gallery and of the registry's page: photos, an arrow, and what was drawn of them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from .sheet import Row, font

GROUND, ARROW, TITLE, TEXT, FAINT = "#17324f", "#ffb347", "#ffffff", "#cfe2f5", "#9dbad7"
CARD, BANNER, STRIP = (960, 640), (1680, 720), (1400, 540)
PHOTO, PHOTO_GAP, MARGIN, LARGE, TWO, BETWEEN = 168, 28, 40, 520, 300, 20
Drawn = tuple[Image.Image, str]
"""A picture and the words below it."""


def template_card(photos: Sequence[Image.Image], drawn: Sequence[Drawn]) -> Image.Image:
    """960 x 640: three photos in a column, and one or two pictures of the result with their prompts."""
    card = Image.new("RGB", CARD, GROUND)
    pen = ImageDraw.Draw(card)
    for row, photo in enumerate(photos[:3]):
        _paste(card, photo, (MARGIN, MARGIN + row * (PHOTO + PHOTO_GAP)), PHOTO)
    left = MARGIN + PHOTO + 20
    _arrow(pen, (left, CARD[1] // 2), 46)
    side = LARGE if len(drawn) == 1 else TWO
    width = len(drawn) * side + (len(drawn) - 1) * BETWEEN
    start = left + 46 + (CARD[0] - MARGIN - left - 46 - width) // 2 + MARGIN // 2
    top = (CARD[1] - side - 40) // 2
    for number, (picture, words) in enumerate(drawn):
        at = start + number * (side + BETWEEN)
        _paste(card, picture, (at, top), side)
        pen.text((at + side // 2, top + side + 26), words, TITLE, font(30 if len(drawn) == 1 else 22), anchor="mm")
    return card


def banner(photos: Sequence[Image.Image], drawn: Image.Image) -> Image.Image:
    """1680 x 720 for the registry: the name, a line of what it does, five photos and a picture of the result."""
    page = Image.new("RGB", BANNER, GROUND)
    pen = ImageDraw.Draw(page)
    pen.text((96, 88), "DreamBooth", TITLE, font(120))
    pen.text((96, 236), "Drop 3 to 5 photos. Press Run. Draw that subject anywhere.", TEXT, font(40))
    for number, photo in enumerate(photos[:5]):
        _paste(page, photo, (96 + number * 196, 368), 176)
    _arrow(pen, (1078, 456), 70)
    _paste(page, drawn, (1184, 306), 290)
    pen.text((96, 636), "ComfyUI · SD 1.5, 2 and SDXL · LoRA or full · stop, resume and compare", FAINT, font(36))
    return page


def strip(photos: Sequence[Image.Image], rows: Sequence[Row]) -> Image.Image:
    """README's picture: five photos, and for each prompt what the base draws above what the result draws."""
    page = Image.new("RGB", STRIP, GROUND)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, 44), "the photos", TEXT, font(26), anchor="lm")
    for number, photo in enumerate(photos[:6]):
        _paste(page, photo, (MARGIN + number % 2 * 140, 78 + number // 2 * 140), 124)
    _arrow(pen, (336, 281), 60)
    pen.text((450, 44), "the same words and seed: the base above, your subject below", TEXT, font(26), anchor="lm")
    for number, row in enumerate(rows[:4]):
        left = 450 + number * 232
        for picture, top in ((row.base[0], 78), (row.personalized[0], 284)):
            _paste(page, picture, (left, top), 198)
        pen.text((left + 99, 508), row.base_prompt, TITLE, font(20), anchor="mm")
    return page


def _paste(ground: Image.Image, picture: Image.Image, at: tuple[int, int], side: int) -> None:
    """With round corners, enlarged or made smaller to a square."""
    mask = Image.new("L", (2 * side, 2 * side), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 2 * side - 1, 2 * side - 1), side // 5, 255)
    shown = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    ground.paste(shown, at, mask.resize((side, side), Image.Resampling.LANCZOS))


def _arrow(pen: ImageDraw.ImageDraw, start: tuple[int, int], length: int) -> None:
    left, middle = start
    head, thickness = length // 3, max(6, length // 8)
    pen.line((left, middle, left + length, middle), ARROW, thickness)
    tip = (left + length + thickness // 2, middle)
    for side in (-1, 1):
        pen.line((tip, (tip[0] - head, middle + side * head)), ARROW, thickness)
