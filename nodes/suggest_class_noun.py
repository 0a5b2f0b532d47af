"""SuggestClassNoun: what the photos show, by the model's own answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.utils
from comfy_api.latest import io
from torch import Tensor

from ..trainer.sampling.noun_probe import measurements, suggest_nouns
from ..trainer.subject.class_nouns import SuggestedNoun, noun_table
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import raise_if_interrupted
from .comfy_outputs import keep_shown
from .host_model.model import HostModel


class SuggestClassNoun(io.ComfyNode):
    """Class nouns, ranked by the model's denoising error of the photos under each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="SuggestClassNoun",
            display_name="Suggest Class Noun",
            category=sockets.CATEGORY,
            **sockets.found_by("caption", "classify", "interrogate", "what is it"),
            description="What do the photos show? The model itself is asked: the nouns under which it sees your photos "
            "best, with their odds. The photos' class noun is not read.",
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The model that will be trained, as it is."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
                sockets.Subject.Input("subject", tooltip="The photos, from Load Instance Images."),
                io.String.Input(
                    "nouns",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="The nouns to compare, one on each line. Empty: some hundred everyday ones; for the toy "
                    "base those that it knows.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="class_noun", tooltip="The first of them."),
                io.String.Output(display_name="report"),
            ],
        )

    @classmethod
    @recording_failures
    def execute(cls, model: Any, clip: Any, vae: Any, subject: Subject, nouns: str = "") -> io.NodeOutput:
        """The nouns that fit the photos of the first subject best."""
        pictures = subject.each[0].at_one_size()
        found = _suggested(model, clip, vae, pictures, [line.strip() for line in nouns.splitlines() if line.strip()])
        shown = [{"noun": one.noun, "odds": one.odds} for one in found]
        return io.NodeOutput(found[0].noun, noun_table(found), ui=keep_shown({"dreambooth_nouns": shown}))


def _suggested(model: Any, clip: Any, vae: Any, pictures: Tensor, nouns: Sequence[str]) -> tuple[SuggestedNoun, ...]:
    """The suggestions for pictures [N, 3, H, W], with a bar; cancelling ends it between two measurements."""
    from ..toybase.known_nouns import known_nouns, other_pictures

    with HostModel(model, clip, vae, "").borrowed() as host:
        compared = nouns or known_nouns(host.weight_sample())
        others = other_pictures(pictures)
        bar = comfy.utils.ProgressBar(measurements(len(set(compared)), len(others)))

        def advance(done: int) -> None:
            raise_if_interrupted()
            bar.update(done)

        return suggest_nouns(host, pictures, compared, others, advance)
