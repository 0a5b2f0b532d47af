"""A file that is given for a LoRA is called what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.files.adapter_kinds import adapter_kind, other_file
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.methods.lora.start import kept_settings

FILES = {
    "control_model.input_blocks.0.0.weight": "a ControlNet",
    "controlnet_cond_embedding.conv_in.weight": "a ControlNet",
    "input_hint_block.0.weight": "a ControlNet",
    "controlnet_down_blocks.0.weight": "a ControlNet",
    "image_proj.proj.weight": "an IP-Adapter",
    "ip_adapter.1.to_k_ip.weight": "an IP-Adapter",
    "adapter.body.0.resnets.0.block1.weight": "a T2I-Adapter",
    "model.diffusion_model.input_blocks.0.0.weight": "a whole model",
    "first_stage_model.decoder.conv_in.weight": "a VAE",
    "decoder.up.0.block.0.conv1.weight": "a VAE",
    "encoder.down_blocks.0.resnets.0.conv1.weight": "a VAE",
    "text_model.encoder.layers.0.mlp.fc1.weight": "a text encoder",
    "encoder.block.0.layer.0.SelfAttention.q.weight": "a text encoder",
    "down_blocks.0.resnets.0.conv1.weight": "a denoiser",
    "double_blocks.0.img_attn.qkv.weight": "a denoiser",
    "body.0.rdb1.conv1.weight": "an upscaler",
    "model.1.sub.0.RDB1.conv1.0.weight": "an upscaler",
}


@pytest.mark.parametrize("key", FILES)
def test_a_file_that_is_no_adapter_is_named_where_it_is_given_for_a_lora(key: str, tmp_path: Path) -> None:
    keys = [key, key.replace("weight", "bias")]
    assert (adapter_kind(keys), other_file(keys)) == (None, FILES[key])
    file = write_tensors(dict.fromkeys(keys, torch.zeros(2, 2)), tmp_path / "given.safetensors", {})
    with pytest.raises(CheckpointError, match=f"'given.safetensors' is {FILES[key]}, and holds no LoRA"):
        kept_settings(file)


@pytest.mark.parametrize(
    "key",
    [
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
        "unet.down_blocks.0.attentions.0.to_q.lora_A.weight",
        "diffusion_model.double_blocks.0.img_attn.qkv.lora_up.weight",
        "text_encoder.text_model.encoder.layers.0.mlp.fc1.hada_w1_a",
        "emb_params",
        "something.else.weight",
    ],
)
def test_adapters_and_unknown_files_are_not_called_anything_else(key: str) -> None:
    assert other_file([key, "another.tensor"] if key != "emb_params" else [key]) is None
