"""What looks at the pictures of a run's scores: a CLIP_VISION of the graph, or the embedded base's own judge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..trainer.model.fingerprint import Sample, fingerprint
from ..trainer.scores.embedding import EmbeddingScorer
from ..trainer.scores.scorer import Scorer

AT_ONCE = 16


def scorer_of(clip_vision: Any, base_sample: Sample) -> Scorer | None:
    """The scorer by a CLIP_VISION; without one the judge of the embedded base, for that base alone. base_sample: a
    sample of the base's weights.
    """
    from ..toybase.judge_scorer import JudgeScorer, is_embedded_base

    if clip_vision is not None:
        return vision_scorer(clip_vision)
    return JudgeScorer() if is_embedded_base(base_sample) else None


def looks_at_pictures(clip_vision: Any, base_sample: Sample) -> bool:
    """Whether `scorer_of` finds a scorer."""
    from ..toybase.judge_scorer import is_embedded_base

    return clip_vision is not None or is_embedded_base(base_sample)


def vision_scorer(clip_vision: Any) -> EmbeddingScorer:
    """The scorer by the host's encoder of pictures, CLIP, SigLIP or DINOv2, which reads no texts."""

    def embed(pictures: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [clip_vision.encode_image(part.movedim(1, -1))["image_embeds"] for part in pictures.split(AT_ONCE)]
        # A copy made outside inference mode is an ordinary tensor.
        return F.normalize(torch.cat(parts).float().flatten(1).cpu(), dim=1).clone()

    return EmbeddingScorer("CLIP Vision", embed, fingerprint({"encoder": clip_vision.get_sd()}))
