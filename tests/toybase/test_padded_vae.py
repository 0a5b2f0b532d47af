"""The padded VAE is the narrow one; folding the latents' statistics changes no picture."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from dreambooth_nodes.toybase.narrow_vae import SCALING, fold_statistics, new_vae
from dreambooth_nodes.toybase.padded_vae import FULL_GROUPS, FULL_WIDTHS, full_vae, pad_vae
from dreambooth_nodes.trainer.files.safetensors import CheckpointError
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import build_vae


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


@pytest.fixture
def padded(narrow: AutoencoderKL) -> dict[str, torch.Tensor]:
    return pad_vae(narrow.state_dict())


def test_a_base_is_read_without_the_padding(narrow: AutoencoderKL, padded: dict[str, torch.Tensor]) -> None:
    read = build_vae(padded, SCALING)
    assert tuple(read.config.block_out_channels) == tuple(narrow.config.block_out_channels)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        moments, read_moments = (vae.encode(pictures).latent_dist.parameters for vae in (narrow, read))
        latents = moments.chunk(2, 1)[0]
        decoded, read_decoded = (vae.decode(latents).sample for vae in (narrow, read))
    assert (moments - read_moments).abs().max() < 1e-4 * moments.abs().max()
    assert (decoded - read_decoded).abs().max() < 1e-4 * decoded.abs().max()


@pytest.mark.parametrize("name", ["decoder.conv_norm_out.bias", "encoder.conv_in.weight", "decoder.conv_in.bias"])
def test_a_channel_that_takes_part_anywhere_is_kept(padded: dict[str, torch.Tensor], name: str) -> None:
    padded[name][-1] = 0.1
    read = build_vae(padded, SCALING)
    assert tuple(read.config.block_out_channels) == FULL_WIDTHS
    assert read.config.norm_num_groups == FULL_GROUPS
    torch.testing.assert_close(read.state_dict()[name], padded[name])


def test_one_of_8_bit_floats_is_read_without_the_padding_too(padded: dict[str, torch.Tensor]) -> None:
    read = build_vae({name: tensor.to(torch.float8_e4m3fn) for name, tensor in padded.items()}, SCALING)
    assert read.config.norm_num_groups < FULL_GROUPS


def test_a_norm_of_another_size_is_refused_by_its_name(padded: dict[str, torch.Tensor]) -> None:
    padded["decoder.conv_norm_out.weight"] = torch.zeros(5)
    with pytest.raises(CheckpointError, match="conv_norm_out"):
        build_vae(padded, SCALING)


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
