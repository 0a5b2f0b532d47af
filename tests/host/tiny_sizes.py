"""Sizes of tiny models that ComfyUI would not read from their files, told to its detection as soon as this is imported.

A ComfyUI that has this file among its custom nodes loads such models by its own loader nodes. Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import comfy.model_detection
import comfy.supported_models
import comfy.text_encoders.llama
import comfy.text_encoders.qwen_vl

NODE_CLASS_MAPPINGS: dict[str, Any] = {}
"""None: ComfyUI asks every custom node for its classes."""
WORDS = 768
"""The width of the embedded base's text encoder, which stands in for the models' own."""

SIZES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "qwen_image": ("QwenImage", lambda config: {"num_attention_heads": 1, "joint_attention_dim": WORDS}),
    "flux": ("Flux", lambda config: {"num_heads": config["hidden_size"] // 128}),
    "lumina2": ("ZImage", lambda config: z_image_sizes(config["dim"])),
    "krea2": ("Krea2", lambda config: KREA_2),
    "anima": ("Anima", lambda config: ANIMA),
}
"""{the host's name of an architecture: its configuration, and the sizes for what the host has detected}."""
KREA_2: dict[str, Any] = {
    "features": 256, "txtdim": WORDS // 12, "heads": 2, "kvheads": 1, "layers": 1, "txtlayers": 12, "txtheads": 2,
    "txtkvheads": 2,
}  # fmt: skip
"""One block, told text of 12 layers of 64."""
ANIMA: dict[str, Any] = {
    "model_channels": 256, "num_heads": 2, "num_blocks": 1, "crossattn_emb_channels": WORDS, "in_channels": 16,
    "out_channels": 16, "max_img_h": 240, "max_img_w": 240, "max_frames": 128, "patch_spatial": 2,
    "patch_temporal": 1, "concat_padding_mask": True, "pos_emb_cls": "rope3d", "pos_emb_learnable": True,
    "pos_emb_interpolation": "crop", "min_fps": 1, "max_fps": 30, "use_adaln_lora": True, "adaln_lora_dim": 32,
    "extra_per_block_abs_pos_emb": False, "rope_h_extrapolation_ratio": 4.0, "rope_w_extrapolation_ratio": 4.0,
    "rope_t_extrapolation_ratio": 1.0, "rope_enable_fps_modulation": False, "image_model": "anima",
}  # fmt: skip
"""One block, with the real one's positions and heads."""


def z_image_sizes(width: int = 256) -> dict[str, Any]:
    """Of a Z-Image of one layer: heads of 32, or of 128 as the real one's where it is as wide as diffusers' class."""
    axes = [8, 12, 12] if width < 1024 else [32, 48, 48]
    heads = width // sum(axes)
    return {
        "patch_size": 2, "in_channels": 16, "dim": width, "n_layers": 1, "n_refiner_layers": 1, "n_heads": heads,
        "n_kv_heads": heads, "axes_dims": axes, "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
        "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
        "qk_norm": True, "cap_feat_dim": WORDS,
    }  # fmt: skip


TEXT = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
"""Of Qwen-Image's own text encoder, with the vocabulary and heads of the real one."""

_detected = comfy.model_detection.model_config_from_unet_config


def tiny_configuration(config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """The host's configuration of a model, of the sizes above where it is one of these architectures."""
    if config.get("image_model") not in SIZES:
        return _detected(config, *args, **kwargs)
    kind, sizes = SIZES[config["image_model"]]
    return getattr(comfy.supported_models, kind)({**config, **sizes(config)})


comfy.model_detection.model_config_from_unet_config = tiny_configuration
comfy.text_encoders.llama.Qwen25_7BVLI_Config = partial(
    comfy.text_encoders.llama.Qwen25_7BVLI_Config, **TEXT, num_attention_heads=4
)
if find_spec("comfy.ldm.anima") is not None:
    _anima = import_module("comfy.ldm.anima.model")
    _anima.LLMAdapter = partial(  # type: ignore[attr-defined, unused-ignore]
        _anima.LLMAdapter, source_dim=WORDS, target_dim=WORDS, model_dim=64, num_heads=1, num_layers=1
    )
_vision = comfy.text_encoders.qwen_vl.Qwen2VLVisionTransformer


def tiny_vision(**sizes: Any) -> Any:
    """The text encoder's eye, which no prompt uses."""
    return _vision(**{**sizes, "hidden_size": 64, "intermediate_size": 64, "num_heads": 1, "num_layers": 1})


comfy.text_encoders.qwen_vl.Qwen2VLVisionTransformer = tiny_vision
