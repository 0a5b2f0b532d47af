"""Writes the embedded base as a diffusers folder, with the narrow VAE: what rivals' scripts train on."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from ..trainer.export.diffusers_folder import whole_folder
from ..trainer.model.families.latent_diffusion.build import write_clip_tokenizer
from .denoiser import SCHEDULE, new_denoiser
from .narrow_vae import new_vae
from .quantize import load_stored
from .text_encoder import END, LAYERS, LENGTH, START, VOCABULARY, WIDTH, text_encoder_tensors

TEXT_CONFIG = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "attention_dropout": 0.0,
    "bos_token_id": START,
    "eos_token_id": END,
    "pad_token_id": END,
    "hidden_act": "quick_gelu",
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": LENGTH,
    "num_attention_heads": 12,
    "num_hidden_layers": LAYERS,
    "projection_dim": WIDTH,
    "vocab_size": VOCABULARY,
    "torch_dtype": "float32",
}
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


def write_diffusers_folder(path: Path) -> Path:
    """unet, vae (narrow), text_encoder, tokenizer and scheduler as StableDiffusionPipeline loads them.

    Raises FileExistsError if `path` exists.
    """
    return whole_folder(path, _fill)


def _fill(folder: Path) -> None:
    for name, model, part in (("unet", new_denoiser(), "denoiser"), ("vae", new_vae(), "vae")):
        model.load_state_dict(load_stored(part))
        model.save_pretrained(folder / name)
    for name in ("text_encoder", "scheduler"):
        (folder / name).mkdir()
    text = {f"text_model.{name}": value.float() for name, value in text_encoder_tensors().items()}
    save_file(text, folder / "text_encoder" / "model.safetensors", {"format": "pt"})
    write_clip_tokenizer(folder / "tokenizer", LENGTH, "<|endoftext|>")
    _write_json(folder / "text_encoder" / "config.json", TEXT_CONFIG)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    _write_json(folder / "model_index.json", MODEL_INDEX)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
