"""The modelspec specification's fields: github.com/Stability-AI/ModelSpec, version 1.0.0."""

from __future__ import annotations

import base64
import io
from datetime import datetime, timezone

import torch
from PIL import Image
from torch import Tensor

from .run_info import Said

SPEC = "modelspec."
VERSION = "1.0.0"
THUMBNAIL = 256
"""Pixels of its longer side."""


def modelspec_fields(said: Said, prediction: str | None) -> dict[str, str]:
    """What the specification asks of every file, in any layout."""
    subject = said.subject
    fields = {
        "sai_model_spec": VERSION,
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


def thumbnail_url(picture: Tensor) -> str:
    """A picture [3, H, W] in 0..1 as the data URL of a small JPEG."""
    pixels = (picture.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
