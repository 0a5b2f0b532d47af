"""Image files, and small images embedded in text as data URLs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .atomic import write_atomically


def write_picture(image: Tensor, path: Path) -> Path:
    """Write an RGB image [3, H, W] in 0..1 to `path` as PNG. The file is complete or does not exist."""
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    return write_atomically(path, lambda part: Image.fromarray(np.asarray(pixels)).save(part, "PNG"))


def read_picture(path: Path) -> Tensor:
    """The RGB image [3, H, W] in 0..1 of a file. Raises OSError or SyntaxError for one that cannot be read."""
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1) / 255


def as_written(images: Tensor) -> Tensor:
    """The images [B, 3, H, W] in 0..1 with the values that a file of eight bits keeps of them."""
    return (images.detach().float().cpu().clamp(0, 1) * 255).round() / 255


THUMBNAIL = 256
"""Pixels of a thumbnail's longer side, at most."""


def thumbnail_url(picture: Tensor) -> str:
    """A small JPEG of the RGB image [3, H, W] in 0..1, as a base64 data URL."""
    pixels = (picture.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_url(image, "JPEG", quality=80)


def data_url(picture: Image.Image, kind: Literal["JPEG", "PNG"], **how: Any) -> str:
    """A picture as a base64 data URL. how: as Pillow's `save` takes it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **how)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
