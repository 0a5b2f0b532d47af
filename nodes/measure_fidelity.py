"""MeasureFidelity: how far pictures are like the subject, and follow their prompt."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from comfy_api.latest import io

from ..trainer.scores.fidelity import fidelity
from ..trainer.scores.fidelity_plot import fidelity_plot
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_outputs import keep_shown
from .comfy_scores import vision_scorer


class MeasureFidelity(io.ComfyNode):
    """Likeness, prompt following, variety and returned photos of the graph's pictures (section 4.1)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="MeasureFidelity",
            display_name="Measure Fidelity",
            category=sockets.CATEGORY,
            **sockets.found_by("likeness", "score", "compare", "which is best"),
            description="Measures how like your subject pictures are, how varied, and whether they return a photo.",
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="Pictures of the subject, one or more."),
                sockets.Subject.Input("subject", tooltip="The photos, from Load Instance Images."),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="Looks at them: CLIP, SigLIP or DINOv2. Without it the toy base's judge does, which "
                    "knows that base's pictures alone.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    optional=True,
                    tooltip="What the pictures were asked to show, without [V], such as a dog on the beach. Only the "
                    "toy base's judge reads it. Empty: prompt following is not measured.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="table"),
                io.Image.Output(display_name="plot", tooltip="Likeness of each picture; the line is the photos' own."),
                io.Float.Output(display_name="likeness", tooltip="The mean, 0 to 1."),
                io.Float.Output(display_name="variety", tooltip="The mean distance of the pictures to each other."),
            ],
        )

    @classmethod
    @recording_failures
    def execute(
        cls, images: torch.Tensor, subject: Subject, clip_vision: Any = None, prompt: str = ""
    ) -> io.NodeOutput:
        """The table, the plot and two means."""
        from ..toybase.judge_scorer import JudgeScorer

        scorer = JudgeScorer() if clip_vision is None else vision_scorer(clip_vision)
        pixels = images[..., :3].movedim(-1, 1).float().cpu()
        pictures = F.interpolate(pixels, (subject.height, subject.width), mode="bicubic", antialias=True).clamp(0, 1)
        names = [f"image {number}" for number in range(1, len(pictures) + 1)]
        found = fidelity(
            scorer, names, pictures, subject.at_one_size(), [prompt] * len(names) if prompt.strip() else None
        )
        plot = torch.from_numpy(np.asarray(fidelity_plot(found), dtype=np.float32) / 255).unsqueeze(0)
        means = (found.mean("likeness"), found.mean("variety"))
        return io.NodeOutput(found.table, plot, *means, ui=keep_shown({"dreambooth_fidelity": [asdict(found)]}))
