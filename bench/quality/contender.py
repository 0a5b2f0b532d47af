"""What every trainer in the bench is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...trainer.model.base import Base
from ...trainer.options.choices import MethodName, Precision, PriorName


@dataclass(frozen=True, kw_only=True)
class Work:
    """One training, the same for every contender; batch_size photos and as many class images a step.

    AdamW at a constant rate. base: a checkpoint in the original layout; diffusers_base: the same model as a diffusers
    folder, with toybase's narrow VAE. photos, class_images: folders with pictures of `size` pixels and nothing else;
    class_images is None, and prior_weight 0, in a training without priors; class_count: how many there are;
    prior_guidance: what they were drawn with. prior: what the prior term is of, of ours alone. identifier, class_noun:
    what the prompts are made of; instance_prompt and class_prompt hold them already. looks: the steps after which the
    model is looked at, ascending; the last is `steps`. rank: of a LoRA.
    """

    base: Path
    diffusers_base: Path
    photos: Path
    class_images: Path | None
    identifier: str
    class_noun: str
    instance_prompt: str
    class_prompt: str
    method: MethodName
    steps: int
    looks: tuple[int, ...]
    learning_rate: float
    rank: int
    prior_weight: float
    prior_guidance: float
    size: int
    seed: int
    precision: Precision
    batch_size: int = 1
    class_count: int = 0
    prior: PriorName = "class images"


Look = Callable[[int, Base], None]
"""Called with a number of steps done and a base whose denoiser has done them."""


@dataclass(frozen=True)
class Trained:
    """What a training cost. seconds: of its steps alone, without loading, encoding, looking and saving.

    share: of the denoiser's and the text encoder's weights, how many were trained, 0 to 1. file_size: bytes.
    """

    seconds: float
    share: float
    file_size: int


Contender = Callable[[Work, Path, Look], Trained]
"""Does `work`, keeping its files in the folder, and shows the model at each of `work.looks`."""
