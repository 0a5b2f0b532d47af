"""PredictPersonalizedModel: a subject from its photos in seconds, without training."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..trainer.runs.personalized import checked_name
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import store
from .comfy_outputs import keep_shown
from .comfy_predictor import chosen_predictor, noun_vectors, predictor_mark, predictor_names, with_adapters


class PredictPersonalizedModel(io.ComfyNode):
    """InstantBooth: photos, model → a new word and features."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="PredictPersonalizedModel",
            display_name="Predict Personalized Model",
            category=sockets.CATEGORY,
            **sockets.found_by("instantbooth", "one photo", "fast", "ip adapter", "instant", "zero shot"),
            description="Predicts the subject from one photo or more in seconds, without training: less like it than a "
            "training. A predictor is of one model; the command train-predictor makes it.",
            inputs=[
                sockets.Subject.Input("subject", tooltip="The photos, from Load Instance Images; one is enough."),
                io.Model.Input("model", tooltip="The model that the predictor was trained on."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint as the model."),
                io.Combo.Input("predictor", options=predictor_names(),
                               tooltip="Of this model: a file of output/dreambooth/predictors. Press R for new ones."),
                io.String.Input("name", default="my_subject",
                                tooltip="Of the word, up to 100 bytes; a number is put after it."),
            ],
            outputs=[
                sockets.PersonalizedModel.Output(display_name="PERSONALIZED_MODEL"),
                io.String.Output(display_name="trigger",
                                 tooltip="'embedding:' and the word's name, for prompts; it stands for the noun too."),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, predictor: str, **_: Any) -> str:
        """Changes when the predictor's file does."""
        return predictor_mark(predictor)

    @classmethod
    @recording_failures
    def execute(cls, subject: Subject, model: Any, clip: Any, predictor: str, name: str) -> io.NodeOutput:
        """The predicted subject, and what calls it."""
        from ..trainer.instantbooth.prediction import predict, write_prediction

        if subject.others:
            raise ValueError("There are several subjects: predict each by itself, and chain two of Apply.")
        checked_name(name)
        with torch.inference_mode(False):
            known = chosen_predictor(predictor)
            concept = predict(known.predictor, subject.photos, noun_vectors(clip, known.predictor, subject.class_noun))
            # Refuses a model of another kind before anything is written.
            with_adapters(model, known.predictor, concept.patches[0], 0.0)
            result = write_prediction(store(), known, concept, name, subject.class_noun)
        text = f"{result.trigger}: {len(subject.photos)} photos, {known.predictor.shape.vectors} vectors"
        return io.NodeOutput(result, result.trigger, ui=keep_shown({"text": (text,)}))
