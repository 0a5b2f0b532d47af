"""The metadata fields of the modelspec specification: github.com/Stability-AI/ModelSpec, version 1.0.0."""

from __future__ import annotations

from datetime import datetime, timezone

from ..files.pictures import thumbnail_url
from .run_info import RunInfo

SPEC = "modelspec."
"""The prefix of the fields."""
VERSION = "1.0.0"


def modelspec_fields(said: RunInfo, prediction: str | None) -> dict[str, str]:
    """The specification's fields that do not depend on the file's layout."""
    subject = said.subject
    nouns = [one.class_noun for one in subject.each]
    fields = {
        "sai_model_spec": VERSION,
        "title": said.name,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resolution": f"{subject.width}x{subject.height}",
        "description": f"DreamBooth of one {' and one '.join(nouns)}, from {len(subject.all_photos)} photos.",
        "trigger_phrase": said.trigger,
        "usage_hint": f"Say {said.trigger!r} in the prompt.",
        "tags": ", ".join(dict.fromkeys(["dreambooth", *nouns])),
    }
    if prediction:
        fields["prediction_type"] = "v" if prediction == "v_prediction" else prediction
    if said.thumbnail is not None:
        fields["thumbnail"] = thumbnail_url(said.thumbnail)
    return {f"{SPEC}{name}": value for name, value in fields.items()}
