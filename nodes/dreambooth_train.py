"""DreamBoothTrain: teaches the graph's model the subject."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

from comfy_api.latest import io

from ..trainer.options import CHOICES, TEXTS
from ..trainer.options.choices import MethodName
from ..trainer.presets import DEFAULT, PRESETS
from ..trainer.runs.request import Request
from ..trainer.sampling.class_priors import ClassPriors
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_base_file import loaded_from
from .comfy_choice import choices_made
from .comfy_failures import recording_failures
from .comfy_graph_base import graph_base
from .comfy_host import raise_if_interrupted
from .comfy_outputs import keep_shown
from .comfy_training import (
    chosen_options,
    findings,
    found_result,
    graph_drawing_model,
    is_looked_at,
    sample_images,
    text_dtype,
    total_losses,
    trained,
    warnings_of,
)
from .host_model.kinds import require_supported
from .host_model.training import HostBase

SAMPLE_EVERY = 200
NUMBERS: dict[str, dict[str, dict[str, Any]]] = {
    name: {
        method: {**one.options(method), "priors": one.priors, "by_photos": one.by_photos and asdict(one.by_photos)}
        for method in get_args(MethodName)
    }
    for name, one in PRESETS.items()
}
"""{preset: {method: its numbers}}, which the page shows. by_photos: how a LoRA's steps follow the photos, else None."""


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
                        tooltip="Writes its numbers into steps and learning_rate, and decides the LoRA's rank. "
                        "person, object, style: steps follow the number of photos.",
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
                io.Model.Input(
                    "draw_with",
                    optional=True,
                    tooltip="Draws samples and scores in model's place, with the LoRA on it: a merge of model, or its "
                    "version for few steps. None: model.",
                ),
            ],
            outputs=[
                sockets.PersonalizedModel.Output(display_name="PERSONALIZED_MODEL"),
                io.Image.Output(display_name="IMAGE", tooltip="Samples during the training."),
                io.LossMap.Output(display_name="LOSS_MAP"),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        """Changes when a result is chosen in the page: the host would answer with the one before."""
        return choices_made()

    @classmethod
    @recording_failures
    def execute(
        cls, model: Any, clip: Any, vae: Any, subject: Subject, identifier: str, method: Any, preset: str, steps: int,
        learning_rate: float, name: str, seed: int, class_priors: ClassPriors | None = None,
        options: dict[str, Any] | None = None, sample_every: int = SAMPLE_EVERY, memory: str = "auto",
        score_every: int = 0, early_stop: int = 0, prior: str = "class images", clip_vision: Any = None,
        draw_with: Any = None,
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
        said = {name: value for name, value in shown.items() if value is not None}
        chosen, begin = chosen_options(preset, {**(options or {}), **said}, len(subject.all_photos))
        base = graph_base(model, clip, vae)
        if isinstance(base, HostBase):
            require_supported(chosen)
        drawing = None if draw_with is None else graph_drawing_model(draw_with, (model, clip, vae), chosen)
        request = Request(
            subject=subject, identifier=identifier, options=chosen, name=name, priors=class_priors,
            continue_from=begin, prediction=base.prediction, base_file=loaded_from(model, clip, vae),
            text_dtype=text_dtype(base, chosen), drawn_with="" if drawing is None else drawing.fingerprint,
            looked_at=is_looked_at(base, clip_vision),
        )  # fmt: skip
        result, run = found_result(base, request) or trained(
            base, request, warnings_of(request, model, clip, identifier, drawing), clip_vision, drawing
        )
        raise_if_interrupted()
        shown_below = {"text": (f"{result.file.name}: say '{result.trigger}'",), "dreambooth_findings": [findings(run)]}
        losses = {"loss": total_losses(run, chosen.prior_weight)}
        return io.NodeOutput(result, sample_images(run), losses, ui=keep_shown(shown_below))
