"""What a base is asked about its photos: its own nouns for the embedded base, everyday ones for all others; and
pictures of other things, by which nouns are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..trainer.model.fingerprint import Sample
from ..trainer.subject.buckets import TrainingSize
from ..trainer.subject.class_nouns import everyday_nouns
from ..trainer.subject.decoding import decode
from ..trainer.subject.photos import photo_of
from .judge_scorer import is_embedded_base
from .palette import NOUNS
from .quantize import WEIGHTS

SUBJECTS = WEIGHTS.parent / "subjects"


def known_nouns(sample: Sample) -> tuple[str, ...]:
    """The nouns for a model, by a sample of its denoiser's weights."""
    return NOUNS if is_embedded_base(sample) else everyday_nouns()


def other_pictures(like: Tensor) -> Tensor:
    """A picture of each of the held-out subjects, [M, 3, H, W] in 0..1, at the size of the pictures `like`."""
    height, width = like.shape[-2:]
    files = sorted(SUBJECTS.glob("*/00.png"))
    size = TrainingSize(width, height, False)
    return torch.stack([photo_of(file.parent.name, str(file), decode(file), None, None, size).pixels for file in files])
