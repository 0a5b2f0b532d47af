"""UNets whose blocks differ from Stable Diffusion's own: the depth of every block is read, in either layout."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st

from dreambooth_nodes.tests.trainer.model.families.small import checkpoint, components
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import DENOISER, denoiser_table
from dreambooth_nodes.trainer.model.families.latent_diffusion.parts import latent_diffusion_parts
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks, UNetShape, unet_shape
from dreambooth_nodes.trainer.model.source import PartFiles
from dreambooth_nodes.trainer.subject.frame import Frame

LEVELS: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
FAMILIES: dict[str, dict[str, Any]] = {
    "sd1": {**LEVELS, "cross_attention_dim": 768, "attention_head_dim": 8},
    "sdxl": {
        **LEVELS,
        "cross_attention_dim": 2048,
        "attention_head_dim": (1, 1),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
KINDS: dict[str, tuple[str, dict[str, Any], Blocks]] = {
    "SSD-1B's: decoder blocks of other depths, no transformer in the middle": (
        "sdxl",
        {
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, (2, 2)),
            "reverse_transformer_layers_per_block": ((2, 1, 3), 1),
            "mid_block_type": "UNetMidBlock2D",
        },
        Blocks(((0, 0), (2, 2)), ((2, 1, 3), (0, 0, 0)), 0),
    ),
    "KOALA's: one block a level, decoder levels shallower, no middle block": (
        "sd1",
        {
            "layers_per_block": 1,
            "transformer_layers_per_block": (1, 3),
            "reverse_transformer_layers_per_block": ((2, 2), 1),
            "mid_block_type": None,
        },
        Blocks(((0,), (3,)), ((2, 2), (0, 0)), None),
    ),
    "levels of different lengths": (
        "sd1",
        {"layers_per_block": (1, 2), "transformer_layers_per_block": (1, 1)},
        Blocks(((0,), (1, 1)), ((1, 1, 1), (0, 0)), 1),
    ),
    "a second transformer in one decoder block": (
        "sd1",
        {
            "layers_per_block": 1,
            "transformer_layers_per_block": (1, 1),
            "reverse_transformer_layers_per_block": ((1, 2), 1),
        },
        Blocks(((0,), (1,)), ((1, 2), (0, 0)), 1),
    ),
}


def unet_tensors(
    family: str, config: dict[str, Any], blocks: Blocks
) -> tuple[UNet2DConditionModel, dict[str, torch.Tensor]]:
    """diffusers' module with random weights, and its tensors under the original layout's names."""
    torch.manual_seed(3)
    unet = UNet2DConditionModel(**FAMILIES[family], **config).eval()
    return unet, denoiser_table(DENOISER, blocks).to_original(unet.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_diffusers_module_does_in_either_layout(kind: str, tmp_path: Path) -> None:
    family = KINDS[kind][0]
    unet, tensors = unet_tensors(*KINDS[kind])
    others = {key: t.contiguous() for key, t in checkpoint(family).items() if not key.startswith(DENOISER)}
    base = load_base(write_tensors({**others, **tensors}, tmp_path / "whole.safetensors", {}))
    unet.save_pretrained(tmp_path / "unet")
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": "epsilon"}))
    for name, (module, _) in components(family).items():
        if name != "denoiser":
            module.save_pretrained(tmp_path / name)  # type: ignore[operator]
    same = load_base(tmp_path)
    assert base.fingerprint == same.fingerprint
    latents, times = torch.randn(1, 4, 16, 16), torch.tensor([500])
    with torch.no_grad():
        told = base.encode_prompts(["a dog"]) | base.frame_conditioning([Frame.whole(128, 128)])
        sizes = {"text_embeds": told["pooled"], "time_ids": told["sizes"]} if family == "sdxl" else None
        wanted = unet(latents, times, told["context"], added_cond_kwargs=sizes).sample
        for found in (base, same):
            torch.testing.assert_close(found.predict(latents, times, told), wanted, rtol=1e-4, atol=1e-4)


depths = st.integers(1, 3)


@st.composite
def blocks(draw: st.DrawFn) -> Blocks:
    """Of two levels, as diffusers' class can have them."""
    counts = draw(st.lists(st.integers(1, 2), min_size=2, max_size=2))
    with_attention = draw(st.lists(st.booleans(), min_size=2, max_size=2).filter(any))
    down, up = [], []
    for count, attention in zip(counts, with_attention, strict=True):
        level = st.tuples(*[depths if attention else st.just(0)] * count)
        down.append(draw(level))
        up.append(draw(st.tuples(*[depths if attention else st.just(0)] * (count + 1))))
    middle = draw(st.sampled_from([None, 0, down[-1][0] or draw(depths)]))
    return Blocks(tuple(down), tuple(up[::-1]), middle)


@settings(max_examples=12)
@given(blocks())
def test_every_blocks_depth_is_read_off_the_names(tmp_path_factory: pytest.TempPathFactory, wanted: Blocks) -> None:
    table = denoiser_table(DENOISER, wanted)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**shape_of(wanted).config((1, 1)))
    tensors = {name: torch.zeros(weight.shape) for name, weight in unet.state_dict().items()}
    originals = {key: tuple(tensor.shape) for key, tensor in table.to_original(tensors).items()}
    assert len(originals) == len(tensors) and all(table.our_names(key) for key in originals)
    assert unet_shape(originals, DENOISER).blocks == wanted
    # Under diffusers' names as well: the file of a denoiser alone.
    file = write_tensors(tensors, tmp_path_factory.getbasetemp() / "unet.safetensors", {})
    text, vae = other_parts(file.parent)
    parts = latent_diffusion_parts(PartFiles((file,), ((text,),), (vae,)))
    assert parts is not None and parts[0].shapes == originals


def shape_of(blocks: Blocks) -> UNetShape:
    return UNetShape(4, 4, (32, 32), blocks, 8, True)


@lru_cache(maxsize=1)
def other_parts(folder: Path) -> tuple[Path, Path]:
    """The files of a text encoder and of a VAE."""
    found = components("sd1")
    text, vae = (
        write_tensors(found[n][0].state_dict(), folder / f"{n}.safetensors", {}) for n in ("text_encoder", "vae")
    )
    return text, vae


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Blocks(((0, 1),), ((1, 1, 1),), 1), "beside some of its blocks only"),
        (Blocks(((1,),), ((1,),), 1), "one residual block more"),
        (Blocks(((1,),), ((1, 1),), 2), "middle transformer is 2 deep"),
    ],
)
def test_what_diffusers_class_cannot_be_is_refused(wrong: Blocks, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        shape_of(wrong).config(1)
