"""The nouns that a base may be asked about: its own for the embedded base, everyday ones for all others."""

from __future__ import annotations

from ..trainer.model.fingerprint import Sample
from ..trainer.subject.class_nouns import everyday_nouns
from .judge_scorer import is_embedded_base
from .palette import NOUNS


def known_nouns(sample: Sample) -> tuple[str, ...]:
    """The nouns for a model, by a sample of its denoiser's weights."""
    return NOUNS if is_embedded_base(sample) else everyday_nouns()
