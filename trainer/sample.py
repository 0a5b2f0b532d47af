"""The pictures that show how far a run has come."""

from __future__ import annotations

from .base import Base
from .events import Sample
from .precision import autocast, forward_dtype
from .prompts import filled
from .request import Request
from .sampling import SamplerSettings, draw


def draw_sample(base: Base, request: Request, step: int) -> Sample:
    """Pictures of the sample prompt by the model as it is after `step` steps; the same seeds every time."""
    options, subject = request.options, request.subject
    prompt = filled(options.sample_prompt or options.templates.instance, request.identifier, subject.class_noun)
    settings = SamplerSettings(width=subject.width, height=subject.height)
    with autocast(forward_dtype(options.precision, base.device), base.device):
        images = draw(base, [prompt] * options.sample_count, range(options.sample_count), settings)
    return Sample(step, prompt, images)
