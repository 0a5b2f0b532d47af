"""UpscalePersonalized: pictures enlarged by an upscaler that was taught the subject (the paper, section 3.4)."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..trainer.options import TEXTS, TrainOptions
from ..trainer.runs.request import Request
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import raise_if_interrupted
from .comfy_training import found_result, text_dtype, trained
from .comfy_upscaler import UpscalerFolder, enlarged, upscaler_folder, upscaler_names

STEPS, LEARNING_RATE = 150, 1e-3
HIGHEST_LEVEL = 350


class UpscalePersonalized(io.ComfyNode):
    """Teaches an upscaler the subject's details, once, and enlarges pictures with it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="UpscalePersonalized",
            display_name="Upscale Personalized",
            category=sockets.CATEGORY,
            **sockets.found_by("upscale", "super resolution", "detail", "enlarge", "x4"),
            description="Enlarges pictures four times with an upscaler that is taught your subject's details from its "
            "photos. The same training is never done twice.",
            inputs=[
                io.Image.Input("images", tooltip="Pictures of the subject, to be enlarged."),
                io.Combo.Input(
                    "upscaler",
                    options=upscaler_names(),
                    tooltip="A diffusers folder of Stable Diffusion x4 in models/diffusers. The toy upscaler is a tiny "
                    "one for pictures of the toy base; its first run writes it there.",
                ),
                io.String.Input(
                    "identifier", default="olt", tooltip="[V]: the subject's name, as in the prompts of the pictures."
                ),
                io.Int.Input(
                    "steps",
                    default=STEPS,
                    min=0,
                    max=100_000,
                    tooltip="Of the training on the subject's photos; 0: the upscaler as it is.",
                ),
                io.Int.Input(
                    "noise_level",
                    default=0,
                    min=0,
                    max=HIGHEST_LEVEL,
                    tooltip="Noise on the small pictures, in the training and after it, 0 to 350. 0 keeps most; more "
                    "lets the upscaler change more.",
                ),
                sockets.Subject.Input(
                    "subject", optional=True, tooltip="The photos, from Load Instance Images. None: nothing is taught."
                ),
                sockets.Options.Input("options", optional=True, tooltip="Other settings of the training."),
                sockets.advanced(
                    io.Float.Input(
                        "learning_rate",
                        default=LEARNING_RATE,
                        min=1e-6,
                        max=1.0,
                        step=1e-6,
                        round=False,
                        optional=True,
                        tooltip=TEXTS["learning_rate"],
                    )
                ),
                io.Int.Input("sampling_steps", default=20, min=1, max=1000, optional=True, tooltip="Usually 10 to 50."),
                sockets.advanced(
                    io.Float.Input(
                        "cfg",
                        default=1.0,
                        min=1.0,
                        max=30.0,
                        step=0.5,
                        optional=True,
                        tooltip="Guidance: more follows the prompt more; 1: none.",
                    )
                ),
                sockets.advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=2**32 - 1,
                        control_after_generate=False,
                        optional=True,
                        tooltip="Of training and pictures, 0 to 4294967295.",
                    )
                ),
                io.String.Input(
                    "name",
                    default="my_upscaler",
                    optional=True,
                    tooltip="Of the LoRA's file; a number is put after it.",
                ),
            ],
            outputs=[io.Image.Output(display_name="IMAGE", tooltip="Four times as large.")],
        )

    @classmethod
    @recording_failures
    def execute(
        cls, images: torch.Tensor, upscaler: str, identifier: str, steps: int, noise_level: int,
        subject: Subject | None = None, options: dict[str, Any] | None = None, learning_rate: float = LEARNING_RATE,
        sampling_steps: int = 20, cfg: float = 1.0, seed: int = 0, name: str = "my_upscaler",
    ) -> io.NodeOutput:  # fmt: skip
        """The pictures, enlarged."""
        from ..trainer.sampling.upscaling import UpscaleSettings

        base, file, prompt = upscaler_folder(upscaler), None, ""
        if subject is not None and steps:
            said = {"steps": steps, "learning_rate": learning_rate, "noise_level": noise_level, "seed": seed}
            request = _request(base, subject, identifier, name, {**(options or {}), **said})
            result, _ = found_result(base, request) or trained(base, request, (), None)
            raise_if_interrupted()
            file, prompt = result.file, f"a {result.trigger}"
        settings = UpscaleSettings(noise_level=noise_level, steps=sampling_steps, guidance=cfg)
        pictures = images[..., :3].movedim(-1, 1).float().cpu()
        return io.NodeOutput(enlarged(base, file, pictures, prompt, settings, seed).movedim(1, -1))


def _request(base: UpscalerFolder, subject: Subject, identifier: str, name: str, said: dict[str, Any]) -> Request:
    """What the upscaler is to be taught: a LoRA of all its layers, without class images."""
    usual = {"method": "lora", "targets": "transformer_and_resnet", "prior": "off", "sample_count": 1}
    options = TrainOptions(**{**usual, **said})
    return Request(
        subject=subject,
        identifier=identifier,
        options=options,
        name=name,
        prediction=base.prediction,
        text_dtype=text_dtype(base, options),
    )
