"""DreamBoothTrain: teaches the graph's model the subject."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import comfy.model_management
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..trainer.events import StoppedEarly, Warned
from ..trainer.methods.start import kept_settings
from ..trainer.model.precision import forward_dtype, frozen_text_dtype
from ..trainer.options import CHOICES, TEXTS, TrainOptions
from ..trainer.options.choices import MethodName
from ..trainer.presets import DEFAULT, PRESETS, preset_named
from ..trainer.runs.explanation import explain, is_explainable
from ..trainer.runs.live_view import live_of
from ..trainer.runs.past_runs import find_finished
from ..trainer.runs.personalized import Personalized
from ..trainer.runs.request import Request
from ..trainer.runs.run import Run, open_run
from ..trainer.sampling.class_priors import ClassPriors
from ..trainer.subject.identifier import warnings_for
from ..trainer.subject.subject import Subject
from ..trainer.wording import Wording
from . import sockets
from .comfy_base_file import BaseFile, loaded_from
from .comfy_cards import write_card
from .comfy_distilled import distilled_warning
from .comfy_failures import tells_failures
from .comfy_graph_base import graph_base
from .comfy_host import lora_file, raise_if_interrupted, rare_tokens, store, training_memory
from .comfy_outputs import keep_shown
from .comfy_progress import NodeProgress, show
from .comfy_scores import scorer_of
from .host_model.kinds import require_supported
from .host_model.training import HostBase, train_in_host

SAMPLE_EVERY = 200
NO_CLASS = "style"
"""The class noun of a look, which has no class to keep."""
NUMBERS: dict[str, dict[str, dict[str, Any]]] = {
    name: {method: {**one.options(method), "priors": one.priors} for method in get_args(MethodName)}
    for name, one in PRESETS.items()
}
"""{preset: {method: its numbers}}, which the page shows."""


class DreamBoothTrain(io.ComfyNode):
    """DreamBooth: the two-term loss on the subject's photos and the class priors."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="DreamBoothTrain",
            display_name="DreamBooth Train",
            category=sockets.CATEGORY,
            **sockets.found_by("train", "lora", "finetune", "fine-tune", "subject", "personalize"),
            description="Teaches the model your subject and saves it. The same run is never trained twice.",
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="What is taught: a base model, patches included; it stays as it is."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint; it encodes the photos."),
                sockets.Subject.Input("subject", tooltip="3 to 5 photos and their class, from Load Instance Images."),
                io.String.Input(
                    "identifier",
                    default="olt",
                    tooltip="[V]: the subject's name in prompts, a rare word of 3 to 5 letters.",
                ),
                io.Combo.Input("method", options=list(CHOICES["method"]), default="lora", tooltip=TEXTS["method"]),
                sockets.told(
                    io.Combo.Input(
                        "preset",
                        options=list(PRESETS),
                        default=DEFAULT,
                        tooltip="Writes its numbers into steps and learning_rate, and decides the LoRA's rank.",
                    ),
                    numbers=NUMBERS,
                ),
                io.Int.Input(
                    "steps",
                    default=NUMBERS[DEFAULT]["lora"]["steps"],
                    min=0,
                    max=100_000,
                    tooltip=f"{TEXTS['steps']} 0: the preset's.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=NUMBERS[DEFAULT]["lora"]["learning_rate"],
                    min=0.0,
                    max=1.0,
                    step=1e-6,
                    round=False,
                    tooltip=f"{TEXTS['learning_rate']} 0: the preset's.",
                ),
                io.String.Input(
                    "name", default="my_subject", tooltip="Of the file, up to 100 bytes; a number is put after it."
                ),
                sockets.advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=2**32 - 1,
                        control_after_generate=False,
                        tooltip="Of every random draw, 0 to 4294967295; another seed trains anew.",
                    )
                ),
                sockets.ClassPriors.Input(
                    "class_priors",
                    optional=True,
                    tooltip="100 to 200 class images. Without them the class is forgotten.",
                ),
                sockets.Options.Input("options", optional=True, tooltip="All other settings; none: good defaults."),
                sockets.advanced(
                    io.Int.Input(
                        "sample_every",
                        default=SAMPLE_EVERY,
                        min=0,
                        max=100_000,
                        optional=True,
                        tooltip=TEXTS["sample_every"],
                    )
                ),
                sockets.advanced(
                    io.Combo.Input(
                        "memory",
                        options=list(CHOICES["memory"]),
                        default="auto",
                        optional=True,
                        tooltip="What it has to fit in: auto, what is free; or a card of 8, 12, 16 or 24 GB. "
                        "It then chooses by itself what saves memory, and says what. off: only what you chose.",
                    )
                ),
                sockets.advanced(
                    io.Int.Input(
                        "score_every", default=0, min=0, max=100_000, optional=True, tooltip=TEXTS["score_every"]
                    )
                ),
                sockets.advanced(
                    io.Int.Input("early_stop", default=0, min=0, max=1000, optional=True, tooltip=TEXTS["early_stop"])
                ),
                sockets.advanced(
                    io.Combo.Input(
                        "prior",
                        options=list(CHOICES["prior"]),
                        default="class images",
                        optional=True,
                        tooltip=TEXTS["prior"],
                    )
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="Looks at the pictures of the scores. The toy base needs none.",
                ),
            ],
            outputs=[
                sockets.PersonalizedModel.Output(display_name="PERSONALIZED_MODEL"),
                io.Image.Output(display_name="IMAGE", tooltip="Samples during the training."),
                io.LossMap.Output(display_name="LOSS_MAP"),
            ],
        )

    @classmethod
    @tells_failures
    def execute(
        cls, model: Any, clip: Any, vae: Any, subject: Subject, identifier: str, method: Any, preset: str, steps: int,
        learning_rate: float, name: str, seed: int, class_priors: ClassPriors | None = None,
        options: dict[str, Any] | None = None, sample_every: int = SAMPLE_EVERY, memory: str = "auto",
        score_every: int = 0, early_stop: int = 0, prior: str = "class images", clip_vision: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        """The result, from disk where the same run is finished."""
        shown = {
            "method": method,
            "steps": steps or None,
            "learning_rate": learning_rate or None,
            "seed": seed,
            "sample_every": sample_every,
            "memory": memory,
            "score_every": score_every,
            "early_stop": early_stop,
            "prior": prior,
        }
        chosen, begin = _chosen(preset, {**(options or {}), **{k: v for k, v in shown.items() if v is not None}})
        base = graph_base(model, clip, vae)
        if isinstance(base, HostBase):
            require_supported(chosen)
        request = Request(
            subject=subject, identifier=identifier, options=chosen, name=name, priors=class_priors,
            continue_from=begin, prediction=base.prediction, base_file=loaded_from(model, clip, vae),
            text_dtype=_text_dtype(base, chosen),
        )  # fmt: skip
        result, run = _found(base, request) or _train(base, request, _warnings(request, model, clip), clip_vision)
        raise_if_interrupted()
        told = {"text": (f"{result.file.name}: say '{result.trigger}'",), "dreambooth_findings": [_findings(run)]}
        return io.NodeOutput(result, _samples(run), {"loss": _total(run, chosen.prior_weight)}, ui=keep_shown(told))


def _text_dtype(base: BaseFile | HostBase, options: TrainOptions) -> torch.dtype:
    """The dtype of our own frozen text encoders; the host's are as the host loaded them."""
    if isinstance(base, HostBase):
        return torch.float32
    device = comfy.model_management.get_torch_device()
    return frozen_text_dtype(options, device.type, forward_dtype(options.precision, device))


def _chosen(preset: str, said: dict[str, Any]) -> tuple[TrainOptions, Path | None]:
    """What is said, over what a LoRA to go on from brings, over the preset; and that LoRA's file."""
    begin = said.pop("continue_from", "")
    file = lora_file(begin) if begin else None
    return TrainOptions(**{**preset_named(preset).options(said["method"]), **kept_settings(file), **said}), file


def _warnings(request: Request, model: Any, clip: Any) -> tuple[str, ...]:
    found = None if request.options.learns_word else rare_tokens(clip)
    distilled = distilled_warning(model)
    of_the_identifier = () if found is None else warnings_for(request.identifier, *found)
    of_the_model = () if distilled is None else (distilled,)
    return (*_missing(request), *of_the_model, *of_the_identifier)


def _missing(request: Request) -> Iterator[Wording]:
    """What a training does without and should not."""
    subject = request.subject
    if len(subject.photos) == 1:
        yield Wording("There is 1 photo: the model learns that picture, not your subject. Add 2 to 4 others.")
    if request.priors is not None and request.options.learns_word:
        yield Wording("Class images are connected and not used: a learned word leaves the class as it is.")
    no_images = request.priors is None and request.options.prior_in_use == "class images"
    if no_images and subject.class_noun != NO_CLASS:
        yield Wording(
            "No class images are connected: every {0} will come to look like yours. Connect Generate Class Images.",
            subject.class_noun,
        )


def _found(base: BaseFile | HostBase, request: Request) -> tuple[Personalized, Run] | None:
    found = find_finished(request, base.fingerprint, store())
    if found is not None:
        show(live_of(found[1], found[0]), found[1])
    return found


def _train(
    base: BaseFile | HostBase, request: Request, warnings: tuple[str, ...], clip_vision: Any
) -> tuple[Personalized, Run]:
    progress = NodeProgress(request.options.steps, open_run(request.key(base.fingerprint), store()))
    for warning in warnings:
        progress(Warned(warning))
    try:
        if isinstance(base, HostBase):
            result, run = train_in_host(base, request, store(), progress, progress.stop, clip_vision)
        else:
            with training_memory() as device:
                result, run = _train_on(device, base, request, progress, clip_vision)
    except StoppedEarly:
        raise_if_interrupted()
        raise
    if progress.keeps:
        run.keep()
    write_card(result, run)
    return result, run


def _train_on(
    device: torch.device, base: BaseFile, request: Request, progress: NodeProgress, clip_vision: Any
) -> tuple[Personalized, Run]:
    """Apart from `_train`, so that the trained model is gone before the memory is given back."""
    from ..trainer.methods.registry import METHODS
    from ..trainer.model.families import load_base
    from ..trainer.session.personalize import personalize

    dtype = METHODS[request.options.method].load_dtype(
        request.options, forward_dtype(request.options.precision, device)
    )
    live = load_base(base.source, base.prediction, dtype, base.fingerprint, request.text_dtype).compute_on(device)
    scorer = scorer_of(clip_vision, live.weight_sample()) if request.options.score_every else None
    return personalize(live, request, store(), progress, progress.stop, scorer=scorer)


def _findings(run: Run) -> list[dict[str, Any]]:
    """What the page says of the run; nothing of one that an earlier release made, which recorded too little."""
    return [one.record() for one in explain(run.record)] if is_explainable(run.record) else []


def _samples(run: Run) -> torch.Tensor | ExecutionBlocker:
    """The sample pictures; where there are none, what is connected to the output does not run, and says nothing."""
    samples = run.samples.all()
    return samples.movedim(1, -1) if len(samples) else ExecutionBlocker(None)


def _total(run: Run, prior_weight: float) -> list[float]:
    return [point.instance + prior_weight * (point.prior or 0.0) for point in run.losses()]
