"""kohya's `ss_` metadata fields, which its sd-scripts write and the WebUI shows."""

from __future__ import annotations

import json
from typing import Any

from ..files.hashes import file_sha256, short_hash
from ..model.base import Model
from ..options import TrainOptions
from ..subject.subject import Subject
from .run_info import RunInfo


def kohya_fields(said: RunInfo, base: Model) -> dict[str, str]:
    """The `ss_` fields that do not depend on the file's layout: base, settings and dataset."""
    return {**_training(said, base), **_dataset(said)}


def _training(said: RunInfo, base: Model) -> dict[str, str]:
    """The fields on the base and the training. None names the file: a WebUI would insert that name in place of the
    file's own, and files that are trained again would share it.
    """
    v, version = base.prediction == "v_prediction", base.kohya_version
    fields: dict[str, Any] = {
        "base_model_version": f"{version}_v" if v and version.startswith("sd_v") else version,
        "v2": version.startswith("sd_v2"),
        "v_parameterization": v,
        "steps": said.steps,
        **_settings(said.options),
        **_base_file(said),
    }
    return {f"ss_{name}": str(value) for name, value in fields.items()}


def _settings(options: TrainOptions) -> dict[str, Any]:
    """The fields on the options, without their prefix."""
    word, rate = options.learns_word, options.text_encoder_learning_rate or options.learning_rate
    return {
        "learning_rate": options.learning_rate,
        "unet_lr": None if word else options.learning_rate,
        "text_encoder_lr": rate if options.train_text_encoder else options.learning_rate if word else None,
        "max_train_steps": options.steps,
        "seed": options.seed,
        "mixed_precision": options.precision,
        "lr_scheduler": options.schedule,
        "lr_warmup_steps": options.warmup_steps,
        "optimizer": options.optimizer_kind.kohya_name,
        "gradient_accumulation_steps": options.accumulation,
        "gradient_checkpointing": options.checkpointing,
        "max_grad_norm": options.max_grad_norm,
        "min_snr_gamma": options.snr_gamma,
        "prior_loss_weight": options.prior_weight,
        "clip_skip": None,
        "cache_latents": True,
    }


def _base_file(said: RunInfo) -> dict[str, str]:
    """The fields on the base's file, without their prefix; none where there is no file."""
    file = said.base_file
    if file is None or not file.is_file():
        return {}
    sha256 = said.base_sha256 or file_sha256(file)
    return {"sd_model_name": file.name, "new_sd_model_hash": sha256, "sd_model_hash": short_hash(file)}


def _dataset(said: RunInfo) -> dict[str, str]:
    """The fields on photos and class images."""
    subject, photos = said.subject, len(said.subject.all_photos)
    folders = {_folder(one): {"n_repeats": one.repeats, "img_count": len(one.photos)} for one in subject.each}
    triggers = zip(subject.each, [said.trigger] if not subject.others else said.triggers, strict=True)
    tags = {_folder(one): {trigger: len(one.photos)} for one, trigger in triggers}
    buckets = {
        str(number): {"resolution": [*size], "count": count}
        for number, (size, count) in enumerate(subject.sizes.items())
    }
    return {
        "ss_num_train_images": str(photos),
        "ss_num_reg_images": str(said.priors),
        "ss_batch_size_per_device": str(said.options.batch_size),
        "ss_resolution": f"({subject.width}, {subject.height})",
        "ss_enable_bucket": str(subject.buckets),
        "ss_dataset_dirs": json.dumps(folders, ensure_ascii=False),
        "ss_bucket_info": json.dumps({"buckets": buckets}),
        "ss_tag_frequency": json.dumps(tags, ensure_ascii=False),
    }


def _folder(one: Subject) -> str:
    """What kohya's fields call the folder of a subject."""
    return f"{one.identifier} {one.class_noun}" if one.identifier else one.class_noun
