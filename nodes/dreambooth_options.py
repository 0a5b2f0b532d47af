"""DreamBoothOptions: what DreamBoothTrain leaves at good defaults."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.options import CHOICES, DEFAULTS, KINDS, SETTINGS
from ..trainer.prompts import PromptTemplates
from . import sockets
from .comfy_host import lora_names

SHOWN_BEFORE_PROMPT = (
    "prior_weight", "rank", "alpha", "targets", "batch_size", "accumulation", "train_text_encoder",
    "text_encoder_learning_rate", "precision", "schedule", "warmup_steps", "max_grad_norm", "weight_decay",
    "snr_gamma", "checkpointing", "base_in_8_bits", "optimizer", "trained_weights", "fused_backward", "sample_every",
    "sample_prompt", "sample_count",
)  # fmt: skip
SHOWN_AFTER_PROMPT = ("save_every", "state_seconds", "fit_memory")
"""Saved workflows know widgets by their place."""
TEMPLATES = PromptTemplates()
UNSET = "0 leaves it unset."
ZERO = {
    "rank": "0: that of continue_from, else the preset's.",
    **dict.fromkeys(("alpha", "text_encoder_learning_rate", "snr_gamma"), UNSET),
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
            description="Settings of the training beside the few that DreamBoothTrain shows.",
            inputs=[
                *(_input(name) for name in SHOWN_BEFORE_PROMPT),
                io.String.Input("instance_prompt", default=TEMPLATES.instance, optional=True,
                                tooltip="Of every photo without a caption: [V] is the identifier, {class} the noun."),
                io.Combo.Input("continue_from", options=["", *lora_names()], default="", optional=True,
                               tooltip="A LoRA to go on from, with its rank and alpha. Empty: begin anew."),
                *(_input(name) for name in SHOWN_AFTER_PROMPT),
            ],
            outputs=[sockets.Options.Output(display_name="DREAMBOOTH_OPTIONS")],
        )  # fmt: skip

    @classmethod
    def execute(cls, instance_prompt: str = TEMPLATES.instance, **fields: Any) -> io.NodeOutput:
        """Keyword arguments for `TrainOptions`; checked where the training begins."""
        said = {name: value or None if name in ZERO else value for name, value in fields.items()}
        if said.get("rank") is None:
            said.pop("rank", None)
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
    low = 0 if name in ZERO else one.step if one.open_minimum else one.minimum
    if name in ZERO:
        shown |= {"default": 0, "tooltip": f"{one.text} {ZERO[name]}"}
    if kind is int:
        return io.Int.Input(name, min=int(low or 0), max=int(one.maximum), **shown)
    return io.Float.Input(name, min=float(low or 0), max=float(one.maximum), step=one.step, **shown)
