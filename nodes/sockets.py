"""The pack's own socket types, what travels through each, and what every schema of the pack has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

Subject = io.Custom("SUBJECT")  # trainer.subject.Subject
ClassPriors = io.Custom("CLASS_PRIORS")  # trainer.priors.ClassPriors
PersonalizedModel = io.Custom("PERSONALIZED_MODEL")  # trainer.personalized.Personalized
Options = io.Custom("DREAMBOOTH_OPTIONS")  # dict of keyword arguments for trainer.options.TrainOptions
CATEGORY = "DreamBooth"


def one_size(pictures: Sequence[Tensor]) -> Tensor:
    """Of pictures [3, H, W] those of the first one's size, as a host's IMAGE [B, H, W, 3]."""
    first = pictures[0]
    return torch.stack([pixels for pixels in pictures if pixels.shape == first.shape]).movedim(1, -1)


def told(one: io.Input, **values: Any) -> io.Input:
    """An input with values that the page reads from its definition; not every host's inputs take them when made."""
    one.extra_dict = {**(one.extra_dict or {}), **values}
    return one


def advanced(one: io.Input) -> io.Input:
    """An input that the page folds away until it is asked for."""
    return told(one, advanced=True)


def found_by(*words: str) -> dict[str, Any]:
    """The schema's field of words that the page's search finds a node by; none in hosts that do not know it."""
    known = any(field.name == "search_aliases" for field in fields(io.Schema))
    return {"search_aliases": ["dreambooth", *words]} if known else {}
