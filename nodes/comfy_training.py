"""The training behind DreamBoothTrain: its options, warnings, result and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management
import torch
from comfy_execution.graph_utils import ExecutionBlocker

from ..trainer.events import StoppedEarly, Warned
from ..trainer.methods.start import kept_settings
from ..trainer.model.precision import forward_dtype, frozen_text_dtype
from ..trainer.options import TrainOptions
from ..trainer.options.setting import OptionError
from ..trainer.presets import preset_named
from ..trainer.runs.explanation import NO_CLASS, explain, is_explainable
from ..trainer.runs.live_view import live_of
from ..trainer.runs.past_runs import find_finished
from ..trainer.runs.personalized import Personalized
from ..trainer.runs.request import Request
from ..trainer.runs.run import Run, open_run
from ..trainer.subject.identifier_warnings import warnings_in
from ..trainer.wording import Wording
from .comfy_base_file import BaseFile
from .comfy_cards import write_card
from .comfy_distilled import distilled_name, distilled_warning
from .comfy_host import lora_file, raise_if_interrupted, store, training_memory
from .comfy_progress import NodeProgress, show
from .comfy_scores import looks_at_pictures, scorer_of
from .comfy_tokenizers import vocabularies
from .host_model.drawing_model import DrawingModel, drawing_model, file_base_drawer
from .host_model.key import unread_warning
from .host_model.key import weight_sample as model_sample
from .host_model.training import HostBase, train_in_host


def text_dtype(base: BaseFile | HostBase, options: TrainOptions) -> torch.dtype:
    """The dtype of our own frozen text encoders; the host's are as the host loaded them."""
    if isinstance(base, HostBase):
        return torch.float32
    device = comfy.model_management.get_torch_device()
    return frozen_text_dtype(options, device.type, forward_dtype(options.precision, device))


def chosen_options(preset: str, said: dict[str, Any], photos: int) -> tuple[TrainOptions, Path | None]:
    """What is said, over what a LoRA to go on from brings, over the preset for so many photos; and that LoRA's file."""
    begin = said.pop("continue_from", "")
    file = lora_file(begin) if begin else None
    numbers = preset_named(preset).options(said["method"], said.get("optimizer", "adamw"), photos)
    return TrainOptions(**{**numbers, **kept_settings(file), **said}), file


def is_looked_at(base: BaseFile | HostBase, clip_vision: Any) -> bool:
    """Whether something looks at the pictures of the scores of a training."""
    from ..trainer.model.fingerprint import weight_sample

    sample = weight_sample(base.source) if isinstance(base, BaseFile) else model_sample(base.model)
    return looks_at_pictures(clip_vision, sample)


def graph_drawing_model(model: Any, base: tuple[Any, Any, Any], options: TrainOptions) -> DrawingModel:
    """The MODEL connected to draw_with, for a training of the graph's MODEL, CLIP and VAE; see `drawing_model`.
    Raises OptionError for a word beside the weights.
    """
    if options.word_share:
        raise OptionError(
            f"draw_with is connected and word_share is {options.word_share:g}, whose word only prompts of the "
            "model in training know: set word_share to 0, or disconnect draw_with."
        )
    return drawing_model(model, base, options.method, distilled_name(model, "draw_with"))


def warnings_of(
    request: Request, model: Any, clip: Any, identifier: str, drawing: DrawingModel | None
) -> tuple[str, ...]:
    """What speaks against a request. identifier: as the node has it. drawing: the model that draws, where another."""
    known = [] if request.options.adds_word else vocabularies(clip)
    distilled = distilled_warning(model)
    words = dict.fromkeys(request.identifier_of(one) for one in request.subject.each)
    of_the_identifier = [text for word in words if known for text in warnings_in(word, known)]
    unread = unread_warning(drawing.unread) if drawing and request.options.score_every else None
    of_the_models = [text for text in (distilled, unread) if text is not None]
    return (*_missing(request), *_unused(request, identifier), *of_the_models, *of_the_identifier)


def _unused(request: Request, identifier: str) -> Iterator[Wording]:
    """What of the node a training does not use."""
    if request.subject.identifier and request.subject.identifier != identifier.strip():
        yield Wording(
            "The photos' folders name what is learned: {0}. The node's identifier {1} is not used.",
            ", ".join(request.triggers),
            identifier,
        )


def _missing(request: Request) -> Iterator[Wording]:
    """What a training does without and should not."""
    subject = request.subject
    if len(subject.all_photos) == 1:
        yield Wording("There is 1 photo: the model learns that picture, not your subject. Add 2 to 4 others.")
    if request.priors is not None and request.options.learns_word:
        yield Wording("Class images are connected and not used: a learned word leaves the class as it is.")
    no_images = request.priors is None and request.options.prior_in_use == "class images"
    if no_images and subject.class_noun != NO_CLASS:
        yield Wording(
            "No class images are connected: every {0} will come to look like yours. Connect Generate Class Images.",
            subject.class_noun,
        )


def found_result(base: BaseFile | HostBase, request: Request) -> tuple[Personalized, Run] | None:
    found = find_finished(request, base.fingerprint, store())
    if found is not None:
        show(live_of(found[1], found[0]), found[1])
    return found


def trained(
    base: BaseFile | HostBase,
    request: Request,
    warnings: tuple[str, ...],
    clip_vision: Any,
    drawing: DrawingModel | None = None,
) -> tuple[Personalized, Run]:
    """The result of a new training, and its run. clip_vision: the encoder that scores are measured with. drawing: draws
    samples and scores in the base's place.
    """
    progress = NodeProgress(request.options.steps, open_run(request.key(base.fingerprint), store()))
    for warning in warnings:
        progress(Warned(warning))
    try:
        if isinstance(base, HostBase):
            result, run = train_in_host(base, request, store(), progress, progress.stop, clip_vision, drawing)
        else:
            with training_memory() as device:
                result, run = _train_on(device, base, request, progress, clip_vision, drawing)
    except StoppedEarly:
        raise_if_interrupted()
        raise
    if progress.keeps:
        run.keep()
    write_card(result, run)
    return result, run


def _train_on(
    device: torch.device,
    base: BaseFile,
    request: Request,
    progress: NodeProgress,
    clip_vision: Any,
    drawing: DrawingModel | None,
) -> tuple[Personalized, Run]:
    """Apart from `trained`, so that the trained model is gone before the memory is given back."""
    from ..trainer.methods.registry import METHODS
    from ..trainer.model.families import load_base
    from ..trainer.session.personalize import personalize
    from ..trainer.session.setup import method_of

    dtype = METHODS[request.options.method].load_dtype(
        request.options, forward_dtype(request.options.precision, device)
    )
    live = load_base(base.source, base.prediction, dtype, base.fingerprint, request.text_dtype).compute_on(device)
    scorer = scorer_of(clip_vision, live.weight_sample()) if request.options.score_every else None
    if drawing is None:
        return personalize(live, request, store(), progress, progress.stop, scorer=scorer)
    method = method_of(request, live)
    draw = file_base_drawer(live, method, drawing)
    return personalize(
        live, request, store(), progress, progress.stop, method=method, draw=draw, scorer=scorer,
        draw_untrained=draw.untrained,
    )  # fmt: skip


def findings(run: Run) -> list[dict[str, Any]]:
    """What the page says of the run; nothing of one that an earlier release made, which recorded too little."""
    return [one.record() for one in explain(run.record)] if is_explainable(run.record) else []


def sample_images(run: Run) -> torch.Tensor | ExecutionBlocker:
    """The sample pictures; where there are none, what is connected to the output does not run, and says nothing."""
    samples = run.samples.all()
    return samples.movedim(1, -1) if len(samples) else ExecutionBlocker(None)


def total_losses(run: Run, prior_weight: float) -> list[float]:
    return [point.instance + prior_weight * (point.prior or 0.0) for point in run.losses()]
