"""The padded VAE is the narrow one; folding the latents' statistics changes no picture."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from dreambooth_nodes.toybase.narrow_vae import SCALING, fold_statistics, new_vae
from dreambooth_nodes.toybase.padded_vae import full_vae, pad_vae


@pytest.fixture
def narrow() -> AutoencoderKL:
    torch.manual_seed(0)
    vae = new_vae().eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vae


def test_padded_equals_narrow(narrow: AutoencoderKL) -> None:
    full = full_vae().to_empty(device="cpu").eval()
    full.load_state_dict(pad_vae(narrow.state_dict()))
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        moments, padded_moments = (vae.encode(pictures).latent_dist.parameters for vae in (narrow, full))
        latents = moments.chunk(2, 1)[0]
        decoded, padded_decoded = (vae.decode(latents).sample for vae in (narrow, full))
    scale = moments.abs().max(), decoded.abs().max()
    assert (moments - padded_moments).abs().max() < 1e-4 * scale[0]
    assert (decoded - padded_decoded).abs().max() < 1e-4 * scale[1]


def test_folding_gives_unit_variance_and_the_same_picture(narrow: AutoencoderKL) -> None:
    pictures = torch.rand(16, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = narrow.encode(pictures).latent_dist
        picture = narrow.decode(before.mode()).sample
        mean, std = before.mode().mean((0, 2, 3)), before.mode().std((0, 2, 3))
        fold_statistics(narrow, mean, std)
        after = narrow.encode(pictures).latent_dist
        again = narrow.decode(after.mode()).sample
    scaled = after.mode() * SCALING
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(again, picture, atol=2e-3, rtol=1e-3)
    ratio = after.std / before.std * (std * SCALING).view(1, 4, 1, 1)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-3, rtol=0)
