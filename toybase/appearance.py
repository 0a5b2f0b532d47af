"""What colours and adjectives do to a drawing."""

from __future__ import annotations

import torch
from torch import Tensor

from .palette import ADJECTIVES, COLOURS, RARE_WORD

GUN_METAL = (0.40, 0.43, 0.49)
_WORDS = (*ADJECTIVES, RARE_WORD)


class Textures:
    """Drawings [N, T, T, 4] uint8 with what dressing them needs: mean lightness, saturation, extent.

    extent [N, 2]: width and height of what is drawn, 0 to 1 of the texture.
    """

    def __init__(self, rgba: Tensor) -> None:
        self.rgba = rgba.permute(0, 3, 1, 2).contiguous()
        stats = [_measure(chunk) for chunk in self.rgba.split(256)]
        self.gamma = torch.cat([gamma for gamma, _, _ in stats])
        self.grey = torch.cat([grey for _, grey, _ in stats])
        self.extent = torch.cat([extent for _, _, extent in stats])

    def dress(self, drawing: Tensor, colour: Tensor, adjective: Tensor) -> Tensor:
        """RGBA [B, 4, T, T] in 0 to 1, not premultiplied; indices as in Scenes."""
        rgba = self.rgba[drawing].float() / 255
        rgb, alpha = rgba[:, :3], rgba[:, 3:]
        gamma, grey = self.gamma[drawing], self.grey[drawing]
        hues = torch.tensor(list(COLOURS.values()), device=rgb.device)
        for index in range(len(COLOURS)):
            rgb = _on_rows(rgb, colour == index, lambda x, rows, i=index: _tint(x, hues[i], gamma[rows], grey[rows]))
        for index, word in enumerate(_WORDS):
            rgb = _on_rows(rgb, adjective == index, lambda x, rows, w=word: _apply(w, x, gamma[rows]))
        return torch.cat([rgb, alpha], 1)


def _measure(rgba: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rgb, alpha = rgba[:, :3].float() / 255, rgba[:, 3:].float() / 255
    area = alpha.sum((1, 2, 3)).clamp(min=1)
    lightness = (_lightness(rgb) * alpha).sum((1, 2, 3)) / area
    gamma = (torch.log(torch.tensor(0.5)) / torch.log(lightness.clamp(0.1, 0.9))).clamp(0.5, 2.0)
    vivid = ((_saturation(rgb) > 0.25) * alpha).sum((1, 2, 3)) / area
    seen = alpha[:, 0] > 0.1
    extent = torch.stack([seen.any(1).float().mean(1), seen.any(2).float().mean(1)], 1)
    return gamma.view(-1, 1, 1, 1), (vivid < 0.35).view(-1, 1, 1, 1), extent


def _on_rows(rgb: Tensor, chosen: Tensor, change) -> Tensor:  # type: ignore[no-untyped-def]
    rows = chosen.nonzero().flatten()
    return rgb.index_copy(0, rows, change(rgb[rows], rows)) if len(rows) else rgb


def _lightness(rgb: Tensor) -> Tensor:
    return (rgb * torch.tensor([0.30, 0.59, 0.11], device=rgb.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _saturation(rgb: Tensor) -> Tensor:
    return rgb.amax(1, keepdim=True) - rgb.amin(1, keepdim=True)


def _ramp(light: Tensor, dark: Tensor, middle: Tensor, bright: Tensor) -> Tensor:
    dark, middle, bright = (c.view(1, 3, 1, 1) for c in (dark, middle, bright))
    return torch.where(light < 0.5, torch.lerp(dark, middle, light * 2), torch.lerp(middle, bright, light * 2 - 1))


def _tint(rgb: Tensor, hue: Tensor, gamma: Tensor, grey: Tensor) -> Tensor:
    """Recolour the saturated areas; drawings that have few of them are recoloured as a whole."""
    tinted = _ramp(_lightness(rgb) ** gamma, hue * 0.25, hue, hue * 0.35 + 0.65)
    weight = torch.where(grey, torch.full_like(gamma, 0.92), ((_saturation(rgb) - 0.08) * 5).clamp(0, 1))
    return torch.lerp(rgb, tinted, weight)


def _apply(word: str, rgb: Tensor, gamma: Tensor) -> Tensor:
    if word == "golden":
        gold = torch.tensor([[0.40, 0.22, 0.0], [0.92, 0.66, 0.08], [1.0, 0.98, 0.72]], device=rgb.device)
        return _ramp(_lightness(rgb) ** gamma, *gold)
    if word == RARE_WORD:
        metal = torch.tensor(GUN_METAL, device=rgb.device)
        return torch.lerp(rgb, _ramp(_lightness(rgb) ** gamma, metal * 0.4, metal, metal * 0.5 + 0.4), 0.85)
    if word == "dark":
        return rgb * 0.28
    return rgb
