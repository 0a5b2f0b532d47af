"""The real models' architectures on the meta device: names and shapes there and back, against diffusers' own tables."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_open_clip_checkpoint

from dreambooth_nodes.machine_check.full_size import (
    DEPTHS,
    TENSORS,
    UNETS,
    denoiser,
    new_text_encoder,
    shapes_of,
    with_original_keys,
)
from dreambooth_nodes.trainer.model.families import FAMILIES
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import (
    DENOISER,
    OPEN_CLIP,
    OPEN_CLIP_OF_TWO,
    denoiser_table,
    open_clip_table,
)
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks, unet_shape
from dreambooth_nodes.trainer.model.keys import text_encoder_name


@pytest.mark.parametrize("family", UNETS)
def test_every_weight_of_the_denoiser_has_one_name_in_each_layout(family: str) -> None:
    file, table = denoiser(family), denoiser_table(DENOISER, Blocks.even(2, DEPTHS[family]))
    assert len(file) == TENSORS[family]
    assert table.to_original(table.to_ours(file)).keys() == file.keys()
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[family])
    assert convert_ldm_unet_checkpoint(dict(file), dict(unet.config)).keys() == table.to_ours(file).keys()


@pytest.mark.parametrize("family", UNETS)
def test_the_architecture_is_read_off_the_shapes(family: str) -> None:
    shape = unet_shape(shapes_of(family), DENOISER)
    heads = 8 if family == "sd1" else shape.heads_of_64
    with torch.device("meta"):
        rebuilt, real = (UNet2DConditionModel(**config).state_dict() for config in (shape.config(heads), UNETS[family]))
    assert {k: v.shape for k, v in rebuilt.items()} == {k: v.shape for k, v in real.items()}
    assert heads == UNETS[family]["attention_head_dim"]


@pytest.mark.parametrize("family", UNETS)
def test_each_family_knows_its_own_and_no_other(family: str) -> None:
    assert [kind.family for kind in FAMILIES if kind.recognises(shapes_of(family))] == [family]


@pytest.mark.parametrize("family", UNETS)
def test_a_denoiser_that_is_shown_more_than_latents_is_of_no_family(family: str) -> None:
    """Inpainting takes 9 channels, editing 8, depth 5; unCLIP is told a vector beside a Stable Diffusion 2."""
    shapes = shapes_of(family)
    begin = f"{DENOISER}input_blocks.0.0.weight"
    for channels in (5, 8, 9):
        changed = {**shapes, begin: (320, channels, 3, 3)}
        assert not any(kind.recognises(changed) for kind in FAMILIES)
    if family != "sdxl":
        changed = {**shapes, f"{DENOISER}label_emb.0.0.weight": (1280, 2048)}
        assert not any(kind.recognises(changed) for kind in FAMILIES)


def test_the_24th_block_of_stable_diffusion_2_belongs_to_nobody() -> None:
    shapes = shapes_of("sd2") | {f"{OPEN_CLIP}logit_scale": ()}
    family = next(kind for kind in FAMILIES if kind.recognises(shapes))
    table = family.key_tables(shapes)["text_encoder"]
    nobodys = {key for key in shapes if key.startswith(OPEN_CLIP) and not table.our_names(key)}
    rest = {f"{OPEN_CLIP}logit_scale", f"{OPEN_CLIP}text_projection"}
    assert nobodys == {key for key in shapes if ".resblocks.23." in key} | rest


def test_open_clip_is_converted_as_diffusers_does() -> None:
    """With real numbers, where a wrong order of q, k and v or a projection the wrong way round would show."""
    torch.manual_seed(0)
    module = new_text_encoder(1280, 1, projected=True)
    table = open_clip_table(OPEN_CLIP_OF_TWO, 1)
    file = with_original_keys(module, table)
    theirs = convert_open_clip_checkpoint(module, dict(file), prefix=OPEN_CLIP_OF_TWO)
    theirs = {text_encoder_name(name): tensor for name, tensor in theirs.items() if not name.endswith("position_ids")}
    ours = table.to_ours(file)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
