"""ApplyPersonalizedModel: the subject, into any model of its family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io

from ..trainer.files.safetensors import read_tensors
from ..trainer.options.choices import ADAPTERS
from ..trainer.runs.history import card
from ..trainer.runs.personalized import Personalized
from ..trainer.wording import sentence_and_values
from . import sockets
from .comfy_base import base_warning
from .comfy_failures import recording_failures
from .comfy_host import store
from .comfy_outputs import keep_shown
from .comfy_patches import with_difference, with_lora
from .comfy_words import require_word_fits


class ApplyPersonalizedModel(io.ComfyNode):
    """A LoRA, a full result as the difference from what it was trained from, or a word, which only prompts say."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ApplyPersonalizedModel",
            display_name="Apply Personalized Model",
            category=sockets.CATEGORY,
            **sockets.found_by("lora", "subject", "load lora", "personalize"),
            description="Adds the subject to a model. Strength 0 changes nothing, 1 is as trained. "
            "Chain two for two subjects. A learned word changes no weights: its trigger alone calls it.",
            inputs=[
                io.Model.Input("model", tooltip="The model that the subject was trained on, or one of its family."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint; changed where the text encoder was trained."),
                sockets.PersonalizedModel.Input("personalized_model",
                                                tooltip="From DreamBooth Train, or a loaded one."),
                io.Float.Input("strength_model", default=1.0, min=-10.0, max=10.0, step=0.05,
                               tooltip="On the denoiser. 0: none, 1: as trained, usually 0.6 to 1.2. "
                               "Of a predicted subject: how much of its photos' features is shown."),
                io.Float.Input("strength_clip", default=1.0, min=-10.0, max=10.0, step=0.05,
                               tooltip="On the text encoder, where it was trained. 0: none, 1: as trained."),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL"),
                io.Clip.Output(display_name="CLIP"),
                io.String.Output(display_name="trigger",
                                 tooltip="'[V] class', for prompts; of a learned word 'embedding:' and its name."),
                io.String.Output(display_name="class_noun", tooltip="'class' alone, to compare with."),
            ],
        )  # fmt: skip

    @classmethod
    @recording_failures
    def execute(
        cls, model: Any, clip: Any, personalized_model: Personalized, strength_model: float, strength_clip: float
    ) -> io.NodeOutput:
        """Clones with the subject applied, and the words that call it."""
        strengths = strength_model, strength_clip
        applied = _APPLIED[personalized_model.method](model, clip, personalized_model, *strengths)
        warning = base_warning(model, personalized_model)
        shown = {**card(personalized_model), "warning": warning and sentence_and_values(warning)}
        return io.NodeOutput(
            *applied,
            personalized_model.trigger,
            personalized_model.class_noun,
            ui=keep_shown({"dreambooth_card": [shown]}),
        )


def _with_lora(model: Any, clip: Any, result: Personalized, on_model: float, on_clip: float) -> tuple[Any, Any]:
    _require_own_word(clip, result)
    return with_lora(model, clip, read_tensors(result.file), on_model, on_clip)


def _with_difference(model: Any, clip: Any, result: Personalized, on_model: float, on_clip: float) -> tuple[Any, Any]:
    from ..trainer.export.difference import difference

    _require_own_word(clip, result)
    kept = store().kept_base(result.trained_from)
    return with_difference(model, clip, difference(result, kept), on_model, on_clip)


def _with_word(model: Any, clip: Any, result: Personalized, on_model: float, on_clip: float) -> tuple[Any, Any]:
    require_word_fits(clip, result.file)
    return model, clip


def _with_predicted(model: Any, clip: Any, result: Personalized, on_model: float, on_clip: float) -> tuple[Any, Any]:
    from .comfy_predictor import with_features

    require_word_fits(clip, result.file)
    with torch.inference_mode(False):
        return with_features(model, result, on_model), clip


def _require_own_word(clip: Any, result: Personalized) -> None:
    """Raises ValueError where the word that was learned beside the weights is gone, or does not fit the CLIP."""
    for file in store().files_of(result)[1:]:
        if not file.is_file():
            raise ValueError(
                f"{result.file.name!r} calls its subject by a word of its own, and {file.name!r} is not in the folder "
                "of embeddings: put it there."
            )
        require_word_fits(clip, file)


_APPLIED: dict[str, Callable[..., tuple[Any, Any]]] = {
    **dict.fromkeys(ADAPTERS, _with_lora),
    "full": _with_difference,
    "textual_inversion": _with_word,
    "instantbooth": _with_predicted,
}
"""{method: MODEL and CLIP with a result of it}."""
