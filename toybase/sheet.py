"""Contact sheets: reconstructions of the VAE, and samples of fixed prompts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw
from torch import Tensor

from .captions import write_caption
from .palette import COLOURS, NOUNS, PLACES

SHEET_SEED = 20261130
"""Draws the prompts and the noises of the sample sheet; fixed before the denoiser was trained on 128 px."""


def drawn_prompts(seed: int = SHEET_SEED, count: int = 8) -> list[str]:
    """Captions of the world, no noun and no place twice, every second one with a colour, no colour twice.

    count: at most 12, the number of places.
    """
    random = Random(seed)
    nouns, places = random.sample(NOUNS, count), random.sample(list(PLACES), count)
    colours = random.sample(list(COLOURS), (count + 1) // 2)
    return [
        write_caption(noun, place, None if row % 2 else colours[row // 2], None)
        for row, (noun, place) in enumerate(zip(nouns, places, strict=True))
    ]


def to_image(picture: Tensor) -> Image.Image:
    """[3, S, S] in -1 to 1 as an 8-bit picture."""
    pixels = ((picture.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().numpy())


def contact_sheet(rows: list[tuple[str, Tensor]], cell: int = 96) -> Image.Image:
    """One line per (title, pictures [N, 3, S, S])."""
    columns = max(len(pictures) for _, pictures in rows)
    title = 14
    sheet = Image.new("RGB", (columns * (cell + 2), len(rows) * (cell + title + 2)), "white")
    pen = ImageDraw.Draw(sheet)
    for line, (words, pictures) in enumerate(rows):
        top = line * (cell + title + 2)
        pen.text((2, top + 1), words, fill="black")
        for column, picture in enumerate(pictures):
            sheet.paste(
                to_image(picture).resize((cell, cell), Image.Resampling.BICUBIC), (column * (cell + 2), top + title)
            )
    return sheet


@torch.no_grad()
def save_pairs(vae: AutoencoderKL, pictures: Tensor, path: Path) -> None:
    """Pictures and, beneath each line of twelve, what the VAE makes of them."""
    output = vae.decode(vae.encode(pictures).latent_dist.mode()).sample
    rows = []
    for start in range(0, len(pictures), 12):
        rows += [("original", pictures[start : start + 12]), ("decoded", output[start : start + 12])]
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows).save(path)
