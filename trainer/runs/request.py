"""The request of a run, and the key that identifies runs with the same outcome."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..methods.lora.folder import lora_sha256
from ..methods.start import require_continuable
from ..options import TrainOptions
from ..options.setting import OptionError
from ..prompts import checked_identifier
from ..sampling.class_priors import ClassPriors
from ..subject.photos import Photo
from ..subject.subject import Subject
from .personalized import checked_name
from .record import FORMAT

FEWEST_TO_HOLD_OUT = 8
"""The photos of a subject of which one may be held out."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The inputs and options of a run. They are checked when it is created, before anything is written.

    identifier: [V], where the subject has none of its own. priors: class images; None where there are none, or where
    the options take another prior. name: of the result's file. continue_from: a LoRA or a learned word, a file or a
    folder, to continue training. prediction: the base's prediction type, where the user gave it.
    base_file: the user's file that the base was loaded from, whose hash goes into the result's metadata; None where the
    base is a model in the host's memory. text_dtype: of the base's frozen text encoders. drawn_with: what tells the
    model that draws samples and scores in the base's place from others; "" where the base draws them. looked_at:
    whether something looks at the pictures of the scores.
    """

    subject: Subject
    identifier: str
    options: TrainOptions
    name: str
    priors: ClassPriors | None = None
    continue_from: Path | None = None
    prediction: str | None = None
    base_file: Path | None = None
    text_dtype: torch.dtype = torch.float32
    drawn_with: str = ""
    looked_at: bool = True

    def __post_init__(self) -> None:
        checked_name(self.name)
        object.__setattr__(self, "identifier", checked_identifier(self.subject.identifier or self.identifier))
        if self.subject.others:
            _require_one_file_for_several(self.options)
        if self.options.prior != "class images":
            object.__setattr__(self, "priors", None)
        if self.continue_from is not None:
            require_continuable(self.continue_from, self.options)

    @property
    def class_images(self) -> ClassPriors | None:
        """The class images that the prior term is trained on; None where the options have another prior, or none."""
        return self.priors if self.options.prior_in_use == "class images" else None

    @cached_property
    def held_out(self) -> Photo | None:
        """The photo that is not trained on, whose loss is measured in place of scores: where scores are asked for, and
        nothing looks at pictures; of 8 photos or more, so that enough are left, and of a size that another has.
        """
        subject, (size, count) = self.subject, next(iter(self.subject.sizes.items()))
        if not self.options.score_every or self.looked_at or len(subject.photos) < FEWEST_TO_HOLD_OUT or count < 2:
            return None
        return min((photo for photo in subject.photos if photo.size == size), key=lambda photo: photo.digest)

    @cached_property
    def trained_subject(self) -> Subject:
        """The subject without the photo that is held out."""
        return self.subject if self.held_out is None else self.subject.without(self.held_out)

    @property
    def triggers(self) -> tuple[str, ...]:
        """The phrase that calls each subject: identifier and class noun."""
        return tuple(f"{self.identifier_of(one)} {one.class_noun}" for one in self.subject.each)

    def identifier_of(self, one: Subject) -> str:
        """The identifier of one of the subjects."""
        return one.identifier or self.identifier

    @cached_property
    def _continued_hash(self) -> str | None:
        """The SHA-256 (hex) of the LoRA to continue from, read once."""
        return None if self.continue_from is None else lora_sha256(self.continue_from)

    def key(self, base_fingerprint: str) -> str:
        """The run's key on the base with this fingerprint: the SHA-256 (hex) of all that determines the trained
        weights.

        Names and previews do not change it. Raises PriorsError if the priors do not match the base.
        """
        return hashlib.sha256(json.dumps(self.asked(base_fingerprint), sort_keys=True).encode()).hexdigest()

    def asked(self, base_fingerprint: str) -> dict[str, Any]:
        """All that determines the trained weights, ready for JSON. Raises PriorsError if the priors do not match the
        base.
        """
        subject = self.subject
        if self.priors is not None:
            self.priors.require_match(base_fingerprint, subject.sizes_by_class)
        priors = self.class_images
        return {
            "format": FORMAT,
            "base": base_fingerprint,
            "prediction": self.prediction,
            "subject": subject.fingerprint,
            "identifier": self.identifier,
            "priors": None if priors is None else priors.contents,
            "settings": self.options.weight_settings,
            "continue_from": self._continued_hash,
            **({} if self.text_dtype == torch.float32 else {"text_dtype": str(self.text_dtype)}),
            **({} if self.held_out is None else {"held_out": True}),
            # Without scores it draws previews alone.
            **({"drawn_with": self.drawn_with} if self.drawn_with and self.options.score_every else {}),
        }

    def record(self, base_fingerprint: str) -> dict[str, Any]:
        """The fields of the run's record that follow from the request, ready for JSON."""
        noun = self.subject.class_noun
        return {
            "name": self.name,
            "trigger": ", ".join(self.triggers),
            "identifier": self.identifier,
            "class_noun": noun,
            "method": self.options.method,
            "base": base_fingerprint,
            "photos": len(self.subject.all_photos),
            "size": [self.subject.width, self.subject.height],
            "priors": 0 if self.class_images is None else self.class_images.total,
            "settings": self.options.settings,
            "asked": self.asked(base_fingerprint),
        }


def _require_one_file_for_several(options: TrainOptions) -> None:
    """Raises OptionError for options that do not go with several subjects."""
    if options.learns_word:
        raise OptionError(
            f"method is {options.method!r}, which learns one word, and there are several subjects: train each by "
            "itself, or set method to 'lora'."
        )
    if options.score_every:
        raise OptionError(
            f"score_every is {options.score_every}, and scores compare with the photos of one subject: set score_every "
            "to 0 for several."
        )
