"""--dino and --clip: what looks at pictures where scores are asked for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..trainer.model.fingerprint import Sample
    from ..trainer.scores.scorer import Scorer


def add_encoders(parser: argparse.ArgumentParser) -> None:
    """--dino and --clip."""
    group = parser.add_argument_group("encoders", "What scores look at pictures with; the toy base has its own.")
    dino = "a DINO model of transformers (config.json, model.safetensors), for likeness"
    clip = "a CLIP model of transformers, for prompt following; alone, for likeness too"
    group.add_argument("--dino", type=Path, metavar="FOLDER", help=dino)
    group.add_argument("--clip", type=Path, metavar="FOLDER", help=clip)


def scorer_of(dino: Path | None, clip: Path | None, base_sample: Sample) -> Scorer | None:
    """The scorer by these folders; without any, the embedded judge for the embedded base, else None. base_sample: a
    sample of the base's weights.

    Raises FileNotFoundError naming what a folder lacks.
    """
    from ..toybase.judge_scorer import JudgeScorer, is_embedded_base
    from ..trainer.scores.dino_clip import DinoClipScorer, dino_scorer

    if clip is not None:
        return DinoClipScorer(dino, clip)
    if dino is not None:
        return dino_scorer(dino)
    return JudgeScorer() if is_embedded_base(base_sample) else None


def looks_at_pictures(dino: Path | None, clip: Path | None, base_sample: Sample) -> bool:
    """Whether `scorer_of` finds a scorer; reads no encoder."""
    from ..toybase.judge_scorer import is_embedded_base

    return clip is not None or dino is not None or is_embedded_base(base_sample)
