"""Writes the embedded base as a diffusers folder, with the narrow VAE: what rivals' scripts train on. The upscaler is
written as one too.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from safetensors.torch import save_file

from ..trainer.export.diffusers_folder import whole_folder
from ..trainer.model.families.latent_diffusion.build import write_clip_tokenizer
from .denoiser import SCHEDULE, new_denoiser
from .narrow_vae import UPSCALER as UPSCALER_VAE
from .narrow_vae import new_vae
from .quantize import WEIGHTS, load_stored
from .text_encoder import BASE, END, LENGTH, START, UPSCALER, VOCABULARY, TextKind, text_encoder_tensors
from .upscaler import HIGHEST_LEVEL, new_upscaler, whole_weights
from .upscaler import SCHEDULE as UPSCALER_SCHEDULE

SCHEDULER_CONFIG = SCHEDULE | {
    "_class_name": "PNDMScheduler",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
UPSCALER_SCHEDULER = UPSCALER_SCHEDULE | {
    "_class_name": "DDIMScheduler",
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
UPSCALER_INDEX = {
    "_class_name": "StableDiffusionUpscalePipeline",
    "feature_extractor": [None, None],
    "safety_checker": [None, None],
    "watermarker": [None, None],
    "max_noise_level": HIGHEST_LEVEL,
    "scheduler": ["diffusers", "DDIMScheduler"],
    "low_res_scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def text_config(kind: TextKind) -> dict[str, object]:
    """transformers' configuration of a text encoder."""
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "attention_dropout": 0.0,
        "bos_token_id": START,
        "eos_token_id": END,
        "pad_token_id": kind.pad,
        "hidden_act": "quick_gelu" if kind is BASE else "gelu",
        "hidden_size": kind.width,
        "intermediate_size": 4 * kind.width,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": LENGTH,
        "num_attention_heads": kind.width // 64,
        "num_hidden_layers": kind.layers,
        "projection_dim": kind.width,
        "vocab_size": VOCABULARY,
        "torch_dtype": "float32",
    }


def write_diffusers_folder(path: Path) -> Path:
    """unet, vae (narrow), text_encoder, tokenizer and scheduler as StableDiffusionPipeline loads them.

    Raises FileExistsError if `path` exists.
    """
    return whole_folder(path, _fill)


def write_upscaler_folder(path: Path, weights: Path = WEIGHTS) -> Path:
    """unet, vae, text_encoder, tokenizer and both schedulers as StableDiffusionUpscalePipeline loads them. weights: the
    folder of the stored ones.

    Raises FileExistsError if `path` exists.
    """
    return whole_folder(path, partial(_fill_upscaler, weights))


def _fill(folder: Path) -> None:
    for name, model, part in (("unet", new_denoiser(), "denoiser"), ("vae", new_vae(), "vae")):
        model.load_state_dict(load_stored(part))
        model.save_pretrained(folder / name)
    _write_text_encoder(folder, BASE)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    _write_json(folder / "model_index.json", MODEL_INDEX)


def _fill_upscaler(weights: Path, folder: Path) -> None:
    unet, vae = new_upscaler(), new_vae(UPSCALER_VAE)
    unet.load_state_dict(whole_weights(load_stored("upscaler", weights)))
    vae.load_state_dict(load_stored(UPSCALER_VAE.name, weights))
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    _write_text_encoder(folder, UPSCALER)
    _write_json(folder / "scheduler" / "scheduler_config.json", UPSCALER_SCHEDULER)
    low = {"_class_name": "DDPMScheduler", **UPSCALER_SCHEDULE}
    _write_json(folder / "low_res_scheduler" / "scheduler_config.json", low)
    _write_json(folder / "model_index.json", UPSCALER_INDEX)


def _write_text_encoder(folder: Path, kind: TextKind) -> None:
    text = {f"text_model.{name}": value.float() for name, value in text_encoder_tensors(kind).items()}
    _write_json(folder / "text_encoder" / "config.json", text_config(kind))
    save_file(text, folder / "text_encoder" / "model.safetensors", {"format": "pt"})
    write_clip_tokenizer(folder / "tokenizer", LENGTH, "<|endoftext|>" if kind is BASE else "!")


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
