"""Samples and scores that another MODEL than the one in training draws, in the host's memory and from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import comfy.sd
import torch
from safetensors.torch import load_file
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model.drawing_model import DrawingModel, drawing_model, file_base_drawer
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.nodes.host_model.sampling import PictureDrawer, draw, host_drawer
from dreambooth_nodes.nodes.host_model.training import host_base
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.models import SIDE, Parts, new_store, qwen, request_of, sd3, with_words
from dreambooth_nodes.tests.trainer.scores.pixels import pixel_scorer
from dreambooth_nodes.trainer.events import Event, Sample
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.runs.run import Run
from dreambooth_nodes.trainer.session.drawing import DrawPictures
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.setup import method_of

NAME = "tiny_1step.safetensors"
"""A name by which one sampling step is enough."""
OPTIONS = {"steps": 2, "learning_rate": 1e-2, "sample_count": 1, "sample_every": 1, "save_every": 1}
Outcome = tuple[Tensor, Run]
"""The sample of the first step [3, H, W], and the run."""


def in_memory(parts: Parts, drawing: DrawingModel, alone: bool = False) -> Outcome:
    """A run with scores on a model in the host's memory, for which `drawing` draws. alone: it is the model in training,
    which draws for itself.
    """
    with HostModel(*parts, host_base(*parts).fingerprint).borrowed() as model:
        method = HostLora()
        own = replace(host_drawer(model, method), model=drawing.model, how=drawing.how)
        return outcome(model, own, method, drawing, None if alone else own.untrained, score_every=1)


def from_file(drawing: DrawingModel) -> Outcome:
    """A run on the embedded base's file, text encoder and all, for which `drawing` draws."""
    options = {"train_text_encoder": True, "rank": 2}
    with torch.inference_mode(False), torch.enable_grad():
        base = load_base(cached_toybase(), "epsilon")
        method = method_of(request_of(**{**OPTIONS, **options}), base)
        return outcome(base, file_base_drawer(base, method, drawing), method, drawing, None, **options)


def outcome(
    base: Any, drawer: PictureDrawer, method: Any, drawing: DrawingModel, untrained: DrawPictures | None, **options: Any
) -> Outcome:
    """The sample of the first step, and the run. untrained: see `personalize`."""
    samples: list[Tensor] = []

    def keep(event: Event) -> None:
        if isinstance(event, Sample):
            samples.append(event.images[0])

    request = replace(request_of(**{**OPTIONS, **options}), drawn_with=drawing.fingerprint)
    _, run = personalize(
        base, request, new_store(), keep, method=method, draw=drawer, scorer=pixel_scorer(),
        draw_untrained=untrained,
    )  # fmt: skip
    return samples[0], run


def by_host(drawing: DrawingModel, run: Run | None) -> Tensor:
    """The sample as the host's own loader and sampler draw it; with the LoRA of a run's first step."""
    model, clip = drawing.model, drawing.clip
    if run is not None:
        first = run.file_of(1)
        assert first is not None
        model, clip = comfy.sd.load_lora_for_models(model, clip, load_file(first.file), 1.0, 1.0)
    told = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a olt dog", "")]
    return draw(model, drawing.vae, *told, (SIDE, SIDE), 0, drawing.how)[0]


def compared(drawing: DrawingModel, trained_on: DrawingModel, found: Outcome) -> dict[str, Any]:
    """How far the sample is from the host's own pictures, of 255: by the model that draws, with the LoRA and without,
    and by the model that was trained.
    """
    sample, run = found
    others = {"same": by_host(drawing, run), "without": by_host(drawing, None), "trained": by_host(trained_on, run)}
    return {name: float((sample - other).abs().max() * 255) for name, other in others.items()}


def refusals(parts: Parts) -> dict[str, str]:
    """{what is connected: what is said of it}."""
    found = {}
    for name, (model, method) in {"architecture": (qwen(), "lora"), "method": (sd3(1), "full")}.items():
        try:
            drawing_model(model, parts, method, None)
        except ValueError as error:
            found[name] = str(error)
    return found


def base_scores(run: Run) -> dict[str, Any]:
    """What a run's scores were compared with."""
    return dict(run.record["base_scores"])


def named(parts: Parts, name: str | None) -> list[float]:
    """Sampling steps and guidance of a model by this name."""
    how = drawing_model(parts[0], parts, "lora", name).how
    return [how.steps, how.guidance]


def figures() -> dict[str, Any]:
    """Of both ways, with one step of sampling."""
    parts, toybase = with_words(sd3()), models.toybase()
    other, own = (drawing_model(model, parts, "lora", NAME) for model in (sd3(1), parts[0]))
    merged = toybase[0].clone()
    merged.add_patches({"diffusion_model.out.2.weight": ("diff", (torch.full((4, 320, 3, 3), 1e-3),))})
    merge, base = (drawing_model(model, toybase, "lora", NAME) for model in (merged, toybase[0]))
    drawn = in_memory(parts, other)
    _, alone = in_memory((other.model, *parts[1:]), other, alone=True)
    return {
        "host": compared(other, own, drawn),
        "file": compared(merge, base, from_file(merge)),
        "base": [base_scores(drawn[1]), base_scores(alone)],
        "choice": drawn[1].record["choice"],
        "refused": refusals(parts),
        "fingerprints": [
            one.fingerprint for one in (other, drawing_model(sd3(1), parts, "lora", NAME), own, merge, base)
        ],
        "how": {str(name): named(parts, name) for name in (None, "flux1-schnell.sft", "lightning_4step.safetensors")},
    }
