"""DreamBoothOptions: what DreamBoothTrain leaves at good defaults."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.options import CHOICES, DEFAULTS, KINDS, SETTINGS
from ..trainer.prompts import PromptTemplates
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import lora_names

USUAL = ("prior_weight", "train_text_encoder", "text_encoder_learning_rate", "batch_size")
PREVIEW = ("sample_prompt", "sample_count", "save_every")
RARE = (
    "alpha", "targets", "snr_gamma", "accumulation",
    "schedule", "warmup_steps", "max_grad_norm", "weight_decay", "optimizer",
    "precision", "checkpointing", "base_in_8_bits", "trained_weights", "fused_backward", "fit_memory", "state_seconds",
    "timestep_density", "vectors", "start_word", "contexts",
    "caption_trigger", "shuffle_tags", "keep_tags", "caption_dropout", "flip",
    "noise_offset", "multires_noise_levels", "multires_noise_discount", "ema_decay", "conv_rank", "factor",
    "word_share", "word_learning_rate", "noise_level",
)  # fmt: skip
"""Folded away by the page: of the adapter and the loss, of the optimizer, of memory, of a learned word, of captions.
What is new stands last: graphs keep the values of widgets by their order.
"""
TEMPLATES = PromptTemplates()
FROM_PRESET = "preset"
RANKS = (FROM_PRESET, *(str(2**power) for power in range(11)))
UNSET = {
    "alpha": "0: the rank.",
    "text_encoder_learning_rate": "0: the denoiser's.",
    "snr_gamma": "0: none.",
}
"""Numbers whose widget may say 0, and what that means."""


class DreamBoothOptions(io.ComfyNode):
    """Every field of `TrainOptions` that the main node does not show."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="DreamBoothOptions",
            display_name="DreamBooth Options",
            category=sockets.CATEGORY,
            **sockets.found_by("train", "lora", "rank", "settings"),
            description="Settings of the training beside the few that DreamBooth Train shows.",
            inputs=[
                io.Combo.Input("rank", options=list(RANKS), default=FROM_PRESET, optional=True,
                               tooltip="Of the LoRA, 1 to 1024. preset: the preset's, or that of continue_from."),
                *(_input(name) for name in USUAL),
                io.String.Input("instance_prompt", default=TEMPLATES.instance, optional=True,
                                tooltip="Of every photo without a caption: [V] is the identifier, {class} the noun."),
                io.Combo.Input("continue_from", options=["", *lora_names()], default="", optional=True,
                               tooltip="A LoRA to go on from, with its rank and alpha. Empty: begin anew."),
                *(_input(name) for name in PREVIEW),
                *(sockets.advanced(_input(name)) for name in RARE),
            ],
            outputs=[sockets.Options.Output(display_name="DREAMBOOTH_OPTIONS")],
        )  # fmt: skip

    @classmethod
    @recording_failures
    def execute(
        cls, rank: str = FROM_PRESET, instance_prompt: str = TEMPLATES.instance, **fields: Any
    ) -> io.NodeOutput:
        """Keyword arguments for `TrainOptions`; checked where the training begins."""
        said = {name: value or None if name in UNSET else value for name, value in fields.items()}
        if rank != FROM_PRESET:
            said["rank"] = int(rank)
        return io.NodeOutput({**said, "templates": PromptTemplates(instance_prompt)})


def _input(name: str) -> io.Input:
    """The widget of a field of `TrainOptions`; a number without a default is unset at 0."""
    one, default, kind = SETTINGS[name], DEFAULTS[name], KINDS[name]
    shown: dict[str, Any] = {"default": default, "optional": True, "tooltip": one.text}
    if name in CHOICES:
        return io.Combo.Input(name, options=list(CHOICES[name]), **shown)
    if kind is bool:
        return io.Boolean.Input(name, **shown)
    if kind is str:
        return io.String.Input(name, **shown)
    low = 0 if name in UNSET else one.step if one.open_minimum else one.minimum
    if name in UNSET:
        shown |= {"default": 0, "tooltip": f"{one.text} {UNSET[name]}"}
    if kind is int:
        return io.Int.Input(name, min=int(low or 0), max=int(one.widget_end), **shown)
    return io.Float.Input(name, min=float(low or 0), max=float(one.widget_end), step=one.step, **shown)
