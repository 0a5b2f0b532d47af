"""A batch of pictures to paint on: anti-aliased shapes on [B, 3, S, S], with per-picture random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

Colour = tuple[float, float, float]


class Canvas:
    """B pictures of S x S pixels in 0 to 1; coordinates run from 0 (left, top) to 1.

    Random values are columns of `uniforms` [B, K], used up one after the other: a picture depends
    on its own row alone, never on its neighbours in the batch.
    """

    def __init__(self, uniforms: Tensor, size: int) -> None:
        self.uniforms, self.column, self.pixel = uniforms, 0, 1.0 / size
        axis = (torch.arange(size, device=uniforms.device) + 0.5) / size
        self.x, self.y = axis.view(1, 1, size), axis.view(1, size, 1)
        self.rgb = torch.zeros(len(uniforms), 3, size, size, device=uniforms.device)

    def draw(self, low: float, high: float) -> Tensor:
        """The next random number of every picture, uniform in [low, high): [B, 1, 1]."""
        value = self.uniforms[:, self.column].view(-1, 1, 1)
        self.column += 1
        return low + (high - low) * value

    def cover(self, distance: Tensor) -> Tensor:
        """Coverage 0 to 1 of a shape from the signed distance to its outline (positive inside)."""
        return (distance / self.pixel + 0.5).clamp(0, 1)

    def paint(self, mask: Tensor, colour: Colour | Tensor) -> None:
        """Lay `colour` ((r, g, b) or [B, 3, 1, 1]) over the picture where `mask` [B, S, S] covers it."""
        if not isinstance(colour, Tensor):
            colour = torch.tensor(colour, device=self.rgb.device).view(1, 3, 1, 1)
        self.rgb = torch.lerp(self.rgb, colour.expand_as(self.rgb), mask.unsqueeze(1).expand_as(self.rgb))

    def jitter(self, colour: Colour, spread: float = 0.08) -> Tensor:
        """A shade near `colour` for each picture: [B, 3, 1, 1]."""
        base = torch.tensor(colour, device=self.rgb.device).view(1, 3, 1, 1)
        shade = torch.stack([self.draw(-spread, spread) for _ in range(2)], 1)
        return (
            base + shade[:, :1] + shade[:, 1:] * torch.tensor([1.0, 0.0, -1.0], device=base.device).view(1, 3, 1, 1)
        ).clamp(0, 1)

    def gradient(self, top: Colour, bottom: Colour, spread: float = 0.05) -> None:
        """Fill everything, from `top` to `bottom`, each shade jittered."""
        self.rgb = (
            torch.lerp(self.jitter(top, spread), self.jitter(bottom, spread), self.y.unsqueeze(1))
            .expand_as(self.rgb)
            .clone()
        )

    def below(self, height: Tensor) -> Tensor:
        """Mask of what lies under the line y = height ([B, 1, 1] or [B, 1, S])."""
        return self.cover(self.y - height + 0 * self.x)

    def disc(self, cx: Tensor, cy: Tensor, radius: Tensor | float, flatness: float = 1.0) -> Tensor:
        """Mask of a disc (an ellipse `flatness` times as wide as high)."""
        return self.cover(radius - (((self.x - cx) / flatness) ** 2 + (self.y - cy) ** 2).sqrt())

    def box(self, left: Tensor, top: Tensor, right: Tensor, bottom: Tensor) -> Tensor:
        """Mask of an upright rectangle."""
        return self.cover(torch.minimum(self.x - left, right - self.x)) * self.cover(
            torch.minimum(self.y - top, bottom - self.y)
        )

    def peak(self, cx: Tensor, top: Tensor, slope: Tensor | float) -> Tensor:
        """Mask of a triangle with its tip at (cx, top), falling by `slope` to both sides."""
        return self.cover((self.y - top - slope * (self.x - cx).abs()) * 0.7)

    def dots(self, count: int, radius: float, colour: Colour, low: float = 0.0, high: float = 1.0) -> None:
        """A fixed scatter of dots between heights low and high, shifted at random (stars, snow, flowers)."""
        dx, dy = self.draw(0, 1), self.draw(0, 1)
        for index in range(count):
            cx = (dx + index * 0.618034) % 1.0
            cy = low + (high - low) * ((dy + index * 0.754878) % 1.0)
            self.paint(self.disc(cx, cy, radius * (0.7 + 0.6 * (index % 3) / 2)), colour)
