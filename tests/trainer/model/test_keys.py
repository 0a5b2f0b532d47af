"""Names both ways, on full-size Stable Diffusion 1.5, against diffusers' own conversion."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import denoiser_table, vae_table
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks, unet_shape

ATTENTION = (1, 1, 1, 0)


def full_unet() -> UNet2DConditionModel:
    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)


def full_vae() -> AutoencoderKL:
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=[128, 256, 512, 512],
            layers_per_block=2,
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
        )


def test_every_denoiser_weight_has_one_original_name_and_comes_back() -> None:
    table, ours = denoiser_table("model.diffusion_model.", Blocks.even(2, ATTENTION)), full_unet().state_dict()
    originals = {key: table.original_name(key) for key in ours}
    assert len(set(originals.values())) == len(ours) == 686
    assert all(original and table.our_names(original) == (key,) for key, original in originals.items())


def test_denoiser_names_are_those_that_diffusers_converts() -> None:
    unet = full_unet()
    table, ours = denoiser_table("model.diffusion_model.", Blocks.even(2, ATTENTION)), unet.state_dict()
    file = {str(table.original_name(key)): tensor for key, tensor in ours.items()}
    assert convert_ldm_unet_checkpoint(dict(file), dict(unet.config)).keys() == ours.keys()
    assert table.to_ours(file).keys() == ours.keys()


def test_vae_names_are_those_that_diffusers_converts() -> None:
    vae = full_vae()
    table, ours = vae_table("first_stage_model.", 2, 4), vae.state_dict()
    file = {str(table.original_name(key)): torch.zeros(tensor.shape) for key, tensor in ours.items()}
    converted = convert_ldm_vae_checkpoint(dict(file), dict(vae.config))
    assert converted.keys() == ours.keys()
    assert len(file) == len(ours) == 248


def test_a_name_that_no_module_owns_is_nobodys() -> None:
    table = denoiser_table("model.diffusion_model.", Blocks.even(2, ATTENTION))
    assert table.our_names("model.diffusion_model.control.weight") == ()
    assert table.our_names("first_stage_model.quant_conv.weight") == ()
    assert table.original_name("controlnet.weight") is None


def test_the_architecture_is_read_off_the_shapes() -> None:
    table, ours = denoiser_table("model.diffusion_model.", Blocks.even(2, ATTENTION)), full_unet().state_dict()
    shapes = {str(table.original_name(key)): tuple(tensor.shape) for key, tensor in ours.items()}
    shape = unet_shape(shapes, "model.diffusion_model.")
    assert shape.channels == (320, 640, 1280, 1280)
    assert (shape.blocks, shape.context) == (Blocks.even(2, ATTENTION), 768)
    with torch.device("meta"):
        rebuilt = UNet2DConditionModel(**shape.config(8)).state_dict()
    assert {k: v.shape for k, v in rebuilt.items()} == {k: v.shape for k, v in ours.items()}
