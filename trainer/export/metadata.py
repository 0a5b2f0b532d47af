"""What a file says of itself: the modelspec specification's fields, kohya's `ss_` fields, and ours.

modelspec: github.com/Stability-AI/ModelSpec, version 1.0.0. `ss_`: what kohya's sd-scripts write and the WebUI
shows. Nothing here names a folder or a user of the machine.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..base import Base
from ..options import TrainOptions
from ..subject import Subject
from .hashes import file_sha256, short_hash
from .layouts import Layout
from .lora_weights import LoraWeights, all_layers, ranks

SPEC = "modelspec."
STABILITY = "https://github.com/Stability-AI/generative-models"
ABOUT_THE_LAYOUT = ("ss_network_", "lora_adapter_metadata", "format", "dreambooth.difference")
THUMBNAIL = 256
"""Pixels of its longer side."""


@dataclass(frozen=True)
class Said:
    """What a run knows: the words, the pictures, the settings. base_file: the user's own file, where there is one."""

    name: str
    identifier: str
    subject: Subject
    options: TrainOptions
    steps: int
    priors: int = 0
    base_file: Path | None = None
    thumbnail: Tensor | None = None

    @property
    def trigger(self) -> str:
        """ "[V] class"."""
        return f"{self.identifier} {self.subject.class_noun}"


def run_metadata(said: Said, base: Base) -> dict[str, str]:
    """What holds in every layout. thumbnail [3, H, W] in 0..1."""
    return {**_modelspec(said, base.prediction), **_training(said, base, base.prediction), **_dataset(said)}


def layout_metadata(
    family: type[Base], layout: Layout, lora: LoraWeights | None, architecture: str = ""
) -> dict[str, str]:
    """What depends on how the file is written. architecture: the base's; where it is not known, nothing is said."""
    named = {f"{SPEC}architecture": architecture.removesuffix("/lora") + ("/lora" if lora else "")}
    named = named if architecture else {}
    if lora is None:
        return {**named, f"{SPEC}implementation": "diffusers" if layout == "diffusers folder" else STABILITY}
    theirs = layout != "diffusers" and family.kohya_by_original
    alphas = {layer.alpha for _, _, layer in all_layers(lora)}
    return {
        **named,
        f"{SPEC}implementation": STABILITY if theirs else "diffusers",
        "ss_network_module": "networks.lora",
        "ss_network_dim": _only(ranks(lora)),
        "ss_network_alpha": _only(alphas),
    }


def carried(metadata: Mapping[str, str]) -> dict[str, str]:
    """What of a source's metadata holds in another layout too."""
    return {key: value for key, value in metadata.items() if not key.startswith(ABOUT_THE_LAYOUT)}


def thumbnail_url(picture: Tensor) -> str:
    """A picture [3, H, W] in 0..1 as the data URL of a small JPEG."""
    pixels = (picture.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _modelspec(said: Said, prediction: str | None) -> dict[str, str]:
    subject = said.subject
    fields = {
        "sai_model_spec": "1.0.0",
        "title": said.name,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resolution": f"{subject.width}x{subject.height}",
        "description": f"DreamBooth of one {subject.class_noun}, from {len(subject.photos)} photos.",
        "trigger_phrase": said.trigger,
        "usage_hint": f"Say {said.trigger!r} in the prompt.",
        "tags": f"dreambooth, {subject.class_noun}",
    }
    if prediction:
        fields["prediction_type"] = "v" if prediction == "v_prediction" else prediction
    if said.thumbnail is not None:
        fields["thumbnail"] = thumbnail_url(said.thumbnail)
    return {f"{SPEC}{name}": value for name, value in fields.items()}


def _training(said: Said, base: Base, prediction: str | None) -> dict[str, str]:
    v, version = prediction == "v_prediction", base.kohya_version
    fields: dict[str, Any] = {
        "output_name": said.name,
        "base_model_version": f"{version}_v" if v and version.startswith("sd_v") else version,
        "v2": version.startswith("sd_v2"),
        "v_parameterization": v,
        "steps": said.steps,
        **_settings(said.options),
        **_base_file(said.base_file),
    }
    return {f"ss_{name}": str(value) for name, value in fields.items()}


def _settings(options: TrainOptions) -> dict[str, Any]:
    rate = options.text_encoder_learning_rate or options.learning_rate
    return {
        "learning_rate": options.learning_rate,
        "unet_lr": options.learning_rate,
        "text_encoder_lr": rate if options.train_text_encoder else None,
        "max_train_steps": options.steps,
        "seed": options.seed,
        "mixed_precision": options.precision,
        "lr_scheduler": options.schedule,
        "lr_warmup_steps": options.warmup_steps,
        "optimizer": "torch.optim.adamw.AdamW",
        "gradient_accumulation_steps": options.accumulation,
        "gradient_checkpointing": options.checkpointing,
        "max_grad_norm": options.max_grad_norm,
        "min_snr_gamma": options.snr_gamma,
        "prior_loss_weight": options.prior_weight,
        "clip_skip": None,
        "cache_latents": True,
    }


def _base_file(file: Path | None) -> dict[str, str]:
    if file is None or not file.is_file():
        return {}
    return {"sd_model_name": file.name, "new_sd_model_hash": file_sha256(file), "sd_model_hash": short_hash(file)}


def _dataset(said: Said) -> dict[str, str]:
    subject, photos = said.subject, len(said.subject.photos)
    folder = {subject.class_noun: {"n_repeats": 1, "img_count": photos}}
    size = {"resolution": [subject.width, subject.height], "count": photos}
    return {
        "ss_num_train_images": str(photos),
        "ss_num_reg_images": str(said.priors),
        "ss_batch_size_per_device": str(said.options.batch_size),
        "ss_resolution": f"({subject.width}, {subject.height})",
        "ss_dataset_dirs": json.dumps(folder, ensure_ascii=False),
        "ss_bucket_info": json.dumps({"buckets": {"0": size}}),
        "ss_tag_frequency": json.dumps({subject.class_noun: {said.trigger: photos}}, ensure_ascii=False),
        "dreambooth.settings": json.dumps(said.options.settings, ensure_ascii=False),
        "dreambooth.photos": str(photos),
        "dreambooth.priors": str(said.priors),
    }


def _only(values: set[int] | set[float]) -> str:
    return f"{next(iter(values)):g}" if len(values) == 1 else "Dynamic"
