"""The measures of detail: the mask is the drawing's, and nothing outside of it counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Generator

from dreambooth_nodes.bench.upscaling.measures import bicubic, masked_psnr, shrunken
from dreambooth_nodes.bench.upscaling.scenes import SIZE, Pictures, _pictures
from dreambooth_nodes.bench.upscaling.table import report, sigma
from dreambooth_nodes.toybase.world import World


def test_what_a_drawing_changes_lies_within_its_mask() -> None:
    """Two drawings of one outline in one scene: their pictures differ inside the mask alone."""
    textures = np.zeros((2, 160, 160, 4), dtype=np.uint8)
    textures[:, 40:120, 40:120, 3] = 255
    textures[1, ..., :3] = 255
    world = World(textures, [0, 1])
    nothing = torch.full((3,), -1)
    scenes = dataclasses.replace(
        world.draw_scenes(Generator().manual_seed(1), 3), drawing=torch.zeros(3, dtype=torch.long), colour=nothing,
        adjective=nothing,
    )  # fmt: skip
    dark, light = (_pictures(world, dataclasses.replace(scenes, drawing=torch.full((3,), row))) for row in (0, 1))
    apart = (light.pixels - dark.pixels).abs().amax(1, keepdim=True)
    assert torch.equal(dark.masks, light.masks) and 0.05 < dark.masks.mean() < 0.9
    torch.testing.assert_close(apart, dark.masks, rtol=0, atol=1e-5)


def test_only_the_mask_counts() -> None:
    true, masks = torch.full((1, 3, SIZE, SIZE), 0.5), torch.zeros(1, 1, SIZE, SIZE)
    masks[..., :64] = 1
    wrong = true.clone()
    wrong[..., 64:] = 1.0
    wrong[..., :64] += 0.1
    assert float(masked_psnr(wrong, Pictures(true, masks))) == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("factor", [4, 8])
def test_an_input_has_a_quarter_of_the_side_and_less_detail_at_a_higher_factor(factor: int) -> None:
    pixels = torch.rand(1, 3, SIZE, SIZE, generator=Generator().manual_seed(2))
    small = shrunken(pixels, factor)
    assert small.shape == (1, 3, 32, 32) and bicubic(small, SIZE).shape == pixels.shape
    assert shrunken(pixels, 8).std() < shrunken(pixels, 4).std()


def test_the_table_has_paired_differences_and_sigma() -> None:
    assert sigma(0) == pytest.approx(0.01, abs=1e-6)
    kinds = [f"{row}, {what}, {task}" for row in ("bicubic", "untuned", "tuned") for what in ("subject", "others")
             for task in ("4x", "8x")]  # fmt: skip
    psnr = {"bicubic": 20.0, "untuned": 22.0, "tuned": 25.0, "VAE alone": 30.0}
    cells = [
        {"subject": name, "level": 0, "steps": 5, "figures": {
            kind: {"psnr": psnr[kind.split(",")[0]] + shift, "distances": [0.1, 0.2]}
            for kind in [*kinds, "VAE alone, subject, 4x"]}}
        for name, shift in (("pug", 0.0), ("robot", 4.0))
    ]  # fmt: skip
    text = report(cells)
    assert "σ = 0.010" in text and "2 subjects" in text
    assert "| tuned − untuned, subject, 4x | 3.000 [3.000, 3.000] |" in text
