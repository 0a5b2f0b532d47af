"""The pictures that show how far a run has come."""

from __future__ import annotations

from torch import Tensor

from ..distributed.processes import ALONE, Processes
from ..events import Sample
from ..model.base import Base
from ..model.precision import autocast, forward_dtype
from ..options import Precision
from ..prompts import filled
from ..runs.request import Request
from ..sampling.sampler import SamplerSettings, draw


def draw_sample(base: Base, request: Request, step: int, processes: Processes = ALONE) -> Sample:
    """Pictures of the sample prompt by the model as it is after `step` steps; the same seeds every time."""
    options, subject = request.options, request.subject
    prompt = filled(options.sample_prompt or options.templates.instance, request.identifier, subject.class_noun)
    asked = (prompt, options.sample_count, subject.width, subject.height, options.precision)
    if processes.sharded:
        processes.order("sample", asked=asked)
    return Sample(step, prompt, draw_pictures(base, *asked))


def draw_pictures(base: Base, prompt: str, count: int, width: int, height: int, precision: Precision) -> Tensor:
    """[count, 3, height, width] in 0..1 on the CPU."""
    with autocast(forward_dtype(precision, base.device), base.device):
        return draw(base, [prompt] * count, range(count), SamplerSettings(width=width, height=height))
