"""GenerateClassPriors: class images drawn by the frozen base, for prior preservation."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..trainer.presets import PRIOR_GUIDANCE
from ..trainer.prompts import PromptTemplates
from ..trainer.sampling.class_priors import ClassPriors, draw_missing
from ..trainer.sampling.prior_recipe import PriorRecipe, PriorsError, recipes_of
from ..trainer.subject.own_class_images import own_class_images
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_graph_base import graph_base
from .comfy_host import input_folder, store
from .comfy_progress import NodeProgress
from .comfy_sampling import ANCESTRAL, host_prior_drawer
from .input_folders import files_in, subfolders

SHOWN = 8


class GenerateClassPriors(io.ComfyNode):
    """Class pictures by the frozen base and an ancestral sampler, kept on disk (section 3.3)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenerateClassPriors",
            display_name="Generate Class Images",
            category=sockets.CATEGORY,
            **sockets.found_by("regularization", "class images", "train"),
            description="Draws pictures of the class with the model as it is, so that it does not forget the class. "
            "They are kept: a second run draws only what is missing.",
            inputs=[
                io.Model.Input("model", tooltip="The model that will be trained, as it is."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint."),
                io.Vae.Input("vae", tooltip="Of the same checkpoint."),
                sockets.Subject.Input("subject", tooltip="Gives class and size of the pictures."),
                io.Int.Input(
                    "count",
                    default=100,
                    min=0,
                    max=10_000,
                    tooltip="Pictures of each class, up to 10000; 100 to 200 are usual. Past 64, more changed little. "
                    "0: only your own.",
                ),
                sockets.advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=2**32 - 1,
                        control_after_generate=False,
                        tooltip="Of the first picture, 0 to 4294967295; another seed draws a set of its own.",
                    )
                ),
                sockets.advanced(
                    io.String.Input(
                        "class_noun",
                        default="",
                        optional=True,
                        tooltip="What is drawn, one or two words. Empty: the subject's.",
                    )
                ),
                *(
                    sockets.advanced(
                        io.Int.Input(
                            side,
                            default=0,
                            min=0,
                            max=2048,
                            step=8,
                            optional=True,
                            tooltip="Pixels, a multiple of 8 from 32 up. 0: the subject's.",
                        )
                    )
                    for side in ("width", "height")
                ),
                io.Int.Input(
                    "steps", default=25, min=1, max=1000, optional=True, tooltip="Sampling steps, usually 20 to 50."
                ),
                sockets.advanced(
                    io.Float.Input(
                        "cfg",
                        default=PRIOR_GUIDANCE,
                        min=1.0,
                        max=30.0,
                        step=0.5,
                        optional=True,
                        tooltip="Guidance. 1: the class as the model knows it. More: less variety, and twice the time.",
                    )
                ),
                sockets.advanced(
                    io.Combo.Input(
                        "sampler_name",
                        options=ANCESTRAL,
                        default="euler_ancestral",
                        optional=True,
                        tooltip="Ancestral ones draw more varied pictures (section 3.3).",
                    )
                ),
                sockets.advanced(
                    io.Int.Input(
                        "batch_size",
                        default=4,
                        min=1,
                        max=64,
                        optional=True,
                        tooltip="Pictures at once, 1 to 64; more need more memory.",
                    )
                ),
                sockets.advanced(
                    io.String.Input(
                        "class_prompt",
                        default=PromptTemplates().class_,
                        optional=True,
                        tooltip="They are drawn, and trained on, as this: {class} is the noun, no [V] in it.",
                    )
                ),
                sockets.advanced(
                    io.Combo.Input(
                        "own_images",
                        options=["", *subfolders(input_folder())],
                        default="",
                        optional=True,
                        tooltip="Your own pictures of the class, a folder of ComfyUI's input folder, beside those that "
                        "are drawn. Of several classes: folders in it such as 1_dog.",
                    )
                ),
            ],
            outputs=[
                sockets.ClassPriors.Output(display_name="CLASS_PRIORS"),
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
        class_noun: str = "",
        width: int = 0,
        height: int = 0,
        steps: int = 25,
        cfg: float = PRIOR_GUIDANCE,
        sampler_name: str = "euler_ancestral",
        batch_size: int = 4,
        class_prompt: str = PromptTemplates().class_,
        own_images: str = "",
    ) -> io.NodeOutput:
        """The set on disk, and its first few pictures."""
        if not count and not own_images:
            raise PriorsError("count is 0 and own_images is empty, so there would be no class images: set one of them.")
        own = own_class_images(_folder(own_images), subject.sizes_by_class) if own_images else ()
        fingerprint, noun = graph_base(model, clip, vae).fingerprint, class_noun.strip()
        sets, root = [], store().work / "priors"
        for own_noun, own_sizes in ({noun: subject.sizes} if noun else subject.sizes_by_class).items():
            recipe = PriorRecipe(
                base_fingerprint=fingerprint,
                class_noun=own_noun,
                prompt=PromptTemplates(class_=class_prompt).class_prompt(own_noun),
                sampler=sampler_name,
                steps=steps,
                guidance=cfg,
                width=width or subject.width,
                height=height or subject.height,
                seed=seed,
            )
            sizes = {(recipe.width, recipe.height): 1} if width or height else own_sizes
            for one, number in recipes_of(recipe, count, sizes):
                if not number:
                    sets.append(ClassPriors(one, root / one.fingerprint[:24], 0))
                    continue
                draw = host_prior_drawer(model, clip, vae, one, number)
                sets.append(draw_missing(one, number, root, draw, batch_size, NodeProgress(0)))
        priors = replace(ClassPriors.joined(sets), own=own)
        return io.NodeOutput(priors, _first_few(priors))

    @classmethod
    def fingerprint_inputs(cls, own_images: str = "", **_: Any) -> str:
        """Changes when a file of the folder does."""
        try:
            return f"{own_images}{files_in(_folder(own_images))}" if own_images else ""
        except ValueError:
            return own_images


def _folder(name: str) -> Path:
    """A folder of the host's input folder. Raises ValueError where there is none of this name."""
    if name not in subfolders(input_folder()):
        raise ValueError(f"own_images is {name[:100]!r}, which is not there; press R to refresh the choices.")
    return input_folder() / name


def _first_few(priors: ClassPriors) -> Tensor:
    """The first images [B, H, W, 3] that have the size of the first one."""
    return sockets.one_size([photo.pixels for photo in islice(priors.photos(SHOWN), SHOWN)])
