"""A graph's model that is trained in the host's memory: its identity and its training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import comfy.model_management

from ...trainer.events import Planned, Stop, Tell, Warned
from ...trainer.options.choices import Density
from ...trainer.runs.personalized import Personalized
from ...trainer.runs.request import Request
from ...trainer.runs.run import Run
from ...trainer.runs.store import Store
from ..comfy_scores import scorer_of
from .drawing_model import DrawingModel
from .key import identity_of, unread_warning
from .kinds import require_supported, require_trainable
from .lora import HostLora
from .model import HostModel
from .noise import FLOWS, noise_of
from .sampling import host_drawer


@dataclass(frozen=True)
class HostBase:
    """A MODEL, CLIP and VAE that are trained where the host holds them.

    fingerprint, unread: see `Identity`. prediction: None; the host knows what its denoiser answers.
    """

    model: Any
    clip: Any
    vae: Any
    fingerprint: str
    unread: tuple[str, ...] = ()
    prediction: None = None


def host_base(model: Any, clip: Any, vae: Any) -> HostBase:
    """A graph's model as it can be trained. Raises ValueError, naming the reason, for one that cannot."""
    require_trainable(model)
    noise_of(model.get_model_object("model_sampling"))
    identity = identity_of(model, clip, vae)
    return HostBase(model, clip, vae, identity.fingerprint, identity.unread)


def train_in_host(
    base: HostBase,
    request: Request,
    store: Store,
    tell: Tell,
    stop: Stop,
    clip_vision: Any = None,
    drawing: DrawingModel | None = None,
) -> tuple[Personalized, Run]:
    """Train a LoRA and save it; the base is as before afterwards, however the training ends. clip_vision: the host's
    encoder that scores are measured with. drawing: draws samples and scores in the base's place.

    Raises OptionError for options that do not go with it, and what `personalize` raises.
    """
    from ...trainer.session.personalize import personalize

    require_supported(request.options)
    with _in_training(), HostModel(base.model, base.clip, base.vae, base.fingerprint).borrowed() as model:
        if warning := unread_warning(base.unread):
            tell(Warned(warning))
        tell(Planned(_described(model, request.options.timestep_density)))
        method = HostLora(request.continue_from)
        scorer = scorer_of(clip_vision, model.weight_sample()) if request.options.score_every else None
        draw = host_drawer(model, method)
        other = None if drawing is None else replace(draw, model=drawing.model, how=drawing.how)
        return personalize(
            model, request, store, tell, stop, method=method, draw=other or draw, scorer=scorer,
            draw_untrained=other and other.untrained,
        )  # fmt: skip


def _described(model: HostModel, density: Density) -> str:
    """What the training does that the user did not choose. Raises OptionError for a density that does not go."""
    noise = model.noise_process if density == "auto" else model.noise_process.with_density(density)
    levels = noise.density.replace("_", " ") if noise.schedule in FLOWS else "of its schedule"
    shift = getattr(noise.sampling, "shift", None)
    shifted = "" if shift is None else f", shift {shift:g}"
    return (
        f"{type(model.model.model).__name__}, LoRA. ComfyUI decides what is on the device. "
        f"Timesteps: {levels}{shifted} ({noise.prediction}, {noise.schedule})."
    )


@contextlib.contextmanager
def _in_training() -> Iterator[None]:
    """Free what the host has cached on the device, before and afterwards."""
    comfy.model_management.soft_empty_cache()
    try:
        yield
    finally:
        comfy.model_management.soft_empty_cache()
