"""VaryBackgrounds: the photos with other surroundings, drawn by the graph's own model around the subject."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.samplers
from comfy_api.latest import io

from ..trainer.prompts import PromptTemplates
from ..trainer.sampling.prior_recipe import PriorRecipe
from ..trainer.sampling.surroundings import MOST, vary_surroundings
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_graph_base import graph_base
from .comfy_host import store
from .comfy_progress import NodeProgress
from .comfy_sampling import host_surroundings_drawer
from .host_model.sampling import guidance_of

PLACES = (
    "on the grass",
    "in a kitchen",
    "on a street",
    "on the sand",
    "in a garden",
    "on a wooden table",
    "by a lake",
    "in the snow",
)
SHOWN = 16


class VaryBackgrounds(io.ComfyNode):
    """Photos whose surroundings are drawn anew, so that their place is not learned as part of the subject."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="VaryBackgrounds",
            display_name="Vary Backgrounds",
            category=sockets.CATEGORY,
            **sockets.found_by("inpaint", "background", "mask", "train"),
            description="Draws what is around your subject anew, so that the photos' place is not learned with it. "
            "Needs masks. Pictures are kept: a second run draws only what is missing.",
            inputs=[
                io.Model.Input("model", tooltip="The model that will be trained, as it is."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
                sockets.Subject.Input("subject", tooltip="Photos with masks, from Load Instance Images."),
                io.Int.Input(
                    "count", default=4, min=1, max=MOST, tooltip="Pictures of each photo, 1 to 100; 4 to 8 are enough."
                ),
                sockets.advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=2**32 - 1,
                        control_after_generate=False,
                        tooltip="Of the pictures, 0 to 4294967295; another seed draws others.",
                    )
                ),
                io.String.Input(
                    "places",
                    default="\n".join(PLACES),
                    multiline=True,
                    optional=True,
                    tooltip="One on each line, put after the class: a dog on the grass. Taken in turn.",
                ),
                io.Int.Input(
                    "steps", default=25, min=1, max=1000, optional=True, tooltip="Sampling steps, usually 20 to 50."
                ),
                sockets.advanced(
                    io.Float.Input(
                        "cfg",
                        default=0.0,
                        min=0.0,
                        max=30.0,
                        step=0.5,
                        optional=True,
                        tooltip="Guidance. 0: 5, or 1 for a model that is told its guidance itself.",
                    )
                ),
                sockets.advanced(
                    io.Combo.Input(
                        "sampler_name",
                        options=list(comfy.samplers.KSampler.SAMPLERS),
                        default="euler",
                        optional=True,
                        tooltip="ComfyUI's sampler.",
                    )
                ),
            ],
            outputs=[
                sockets.Subject.Output(display_name="SUBJECT", tooltip="To DreamBooth Train."),
                io.Image.Output(display_name="IMAGE", tooltip="The first few."),
            ],
        )

    @classmethod
    @recording_failures
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        subject: Subject,
        count: int,
        seed: int,
        places: str = "\n".join(PLACES),
        steps: int = 25,
        cfg: float = 0.0,
        sampler_name: str = "euler",
    ) -> io.NodeOutput:
        """The subject with its photos at other places, and the first few of them."""
        common = PriorRecipe(
            base_fingerprint=graph_base(model, clip, vae).fingerprint,
            class_noun=subject.class_noun,
            prompt="",
            sampler=sampler_name,
            steps=steps,
            guidance=cfg or guidance_of(model),
            width=subject.width,
            height=subject.height,
            seed=seed,
        )
        varied = vary_surroundings(
            subject,
            common,
            PromptTemplates().class_prompt,
            [line.strip() for line in places.splitlines() if line.strip()],
            count,
            store().work / "backgrounds",
            partial(host_surroundings_drawer, model, clip, vae),
            NodeProgress(0),
        )
        pictures = [photo.pixels for one in varied.each for photo in one.redrawn]
        return io.NodeOutput(varied, sockets.one_size(pictures[:SHOWN]))
