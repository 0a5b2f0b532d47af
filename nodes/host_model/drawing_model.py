"""Another MODEL than the one in training, which draws its samples and scores with what is trained added to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management

from ...trainer.methods.protocol import Method
from ...trainer.model.base import Base
from ...trainer.options.choices import ADAPTERS
from ...trainer.options.setting import OptionError
from .key import SAMPLING, identity_of_model
from .sampling import SAMPLER, STEPS, HowDrawn, PictureDrawer, adapter_of, guidance_of
from .targets import block_sizes

FEW_STEPS = 8
"""Sampling steps of a model for few steps whose name does not say how many."""
NAMED_STEPS = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class DrawingModel:
    """model: the host's. clip, vae: those of the graph's base. how: the model's sampling. fingerprint: of the model and
    its sampling. unread: see `Identity`.
    """

    model: Any
    clip: Any
    vae: Any
    how: HowDrawn
    fingerprint: str
    unread: tuple[str, ...]


def drawing_model(model: Any, base: tuple[Any, Any, Any], method: str, distilled_name: str | None) -> DrawingModel:
    """A MODEL that draws for a training of `base`, the graph's MODEL, CLIP and VAE.

    distilled_name: the name by which the model is for few steps; None: it is not.

    Raises OptionError for a method whose result cannot be added to another model, ValueError for a model of another
    architecture.
    """
    if method not in ADAPTERS:
        raise OptionError(
            f"draw_with is connected and method is {method!r}, whose result cannot be added to another model: set "
            f"method to one of {', '.join(ADAPTERS)}, or disconnect draw_with."
        )
    _require_same_architecture(model, base[0])
    how, identity = _how(model, distilled_name), identity_of_model(model)
    fingerprint = hashlib.sha256(f"{identity.fingerprint} {how}".encode()).hexdigest()
    return DrawingModel(model, base[1], base[2], how, fingerprint, identity.unread)


def file_base_drawer(base: Base, method: Method[Any], drawing: DrawingModel) -> PictureDrawer:
    """The drawer of another model for a base in training that was read from a file."""
    adapter = partial(adapter_of, base, method)
    return PictureDrawer(drawing.model, drawing.clip, drawing.vae, drawing.how, adapter, _off_the_device)


@contextmanager
def _off_the_device() -> Iterator[None]:
    """A context after which none of the host's models is on the device."""
    try:
        yield
    finally:
        comfy.model_management.unload_all_models()
        comfy.model_management.soft_empty_cache()


def _require_same_architecture(model: Any, base: Any) -> None:
    """Raises ValueError unless what is trained on `base` can be added to `model`."""
    if model.model.concat_keys:
        raise ValueError(
            f"draw_with is a {type(model.model).__name__} that fills in parts of a picture (inpainting) and draws none "
            "from words alone: connect a text-to-image model."
        )
    own, wanted = (block_sizes(one.model.diffusion_model) for one in (model, base))
    channels = [one.get_model_object("latent_format").latent_channels for one in (model, base)]
    if own == wanted and channels[0] == channels[1]:
        return
    names = sorted(name for name in {*own, *wanted} if own.get(name) != wanted.get(name))
    first = f", {names[0]} among others" if names else ""
    raise ValueError(
        f"draw_with is of another architecture than model: {len(names)} layers differ{first}. Connect one that was "
        "made from the model that is trained, such as a merge or its version for few steps."
    )


def _how(model: Any, distilled_name: str | None) -> HowDrawn:
    """How a MODEL draws: one for few steps in as many as its name says, without guidance."""
    if distilled_name is None:
        return HowDrawn(SAMPLER, STEPS, guidance_of(model))
    kinds = [kind.__name__ for kind in type(model.get_model_object(SAMPLING)).__mro__]
    named = NAMED_STEPS.search(distilled_name)
    sampler = "lcm" if "LCM" in kinds else SAMPLER
    return HowDrawn(sampler, int(named[1]) if named else FEW_STEPS, 1.0)
