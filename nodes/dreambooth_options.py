"""DreamBoothOptions: what DreamBoothTrain leaves at good defaults."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.options import CHOICES, TEXTS, TrainOptions
from ..trainer.prompts import PromptTemplates
from . import sockets
from .comfy_host import lora_names

DEFAULTS = TrainOptions()


class DreamBoothOptions(io.ComfyNode):
    """Every field of `TrainOptions` that the main node does not show."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        templates = DEFAULTS.templates
        return io.Schema(
            node_id="DreamBoothOptions",
            display_name="DreamBooth Options",
            category=sockets.CATEGORY,
            description="Settings of the training beside the few that DreamBoothTrain shows.",
            inputs=[
                _float("prior_weight", 0.0, 10.0),
                io.Int.Input("rank", default=0, min=0, max=1024, optional=True,
                             tooltip=f"{TEXTS['rank']} 0: that of continue_from, else the preset's."),
                io.Float.Input("alpha", default=0.0, min=0.0, max=1024.0, optional=True, tooltip=_or_unset("alpha")),
                _combo("targets"),
                _int("batch_size", 1, 64),
                _int("accumulation", 1, 256),
                _switch("train_text_encoder"),
                io.Float.Input("text_encoder_learning_rate", default=0.0, min=0.0, max=1.0, step=1e-6, optional=True,
                               tooltip=_or_unset("text_encoder_learning_rate")),
                _combo("precision"),
                _combo("schedule"),
                _int("warmup_steps", 0, 100_000),
                _float("max_grad_norm", 0.01, 100.0),
                _float("weight_decay", 0.0, 1.0),
                io.Float.Input("snr_gamma", default=0.0, min=0.0, max=100.0, optional=True,
                               tooltip=_or_unset("snr_gamma")),
                _switch("checkpointing"),
                _switch("base_in_8_bits"),
                _combo("optimizer"),
                _combo("trained_weights"),
                _switch("fused_backward"),
                _int("sample_every", 0, 100_000),
                io.String.Input("sample_prompt", default="", optional=True, tooltip=TEXTS["sample_prompt"]),
                _int("sample_count", 0, 16),
                io.String.Input("instance_prompt", default=templates.instance, optional=True,
                                tooltip="Of every photo without a caption: [V] is the identifier, {class} the noun."),
                io.Combo.Input("continue_from", options=["", *lora_names()], default="", optional=True,
                               tooltip="A LoRA to go on from, with its rank and alpha. Empty: begin anew."),
                _int("save_every", 0, 100_000),
                io.Float.Input("state_seconds", default=DEFAULTS.state_seconds, min=0.0, max=86_400.0, step=1.0,
                               optional=True, tooltip=TEXTS["state_seconds"]),
                _switch("fit_memory"),
            ],
            outputs=[sockets.Options.Output(display_name="DREAMBOOTH_OPTIONS")],
        )  # fmt: skip

    @classmethod
    def execute(cls, instance_prompt: str = DEFAULTS.templates.instance, **fields: Any) -> io.NodeOutput:
        """Keyword arguments for `TrainOptions`; checked where the training begins."""
        for name in ("alpha", "text_encoder_learning_rate", "snr_gamma"):
            fields[name] = fields.get(name) or None
        if not fields.get("rank"):
            fields.pop("rank", None)
        return io.NodeOutput({**fields, "templates": PromptTemplates(instance_prompt)})


def _int(name: str, low: int, high: int) -> io.Input:
    return io.Int.Input(name, default=getattr(DEFAULTS, name), min=low, max=high, optional=True, tooltip=TEXTS[name])


def _float(name: str, low: float, high: float) -> io.Input:
    default = getattr(DEFAULTS, name)
    return io.Float.Input(name, default=default, min=low, max=high, step=0.01, optional=True, tooltip=TEXTS[name])


def _combo(name: str) -> io.Input:
    default = getattr(DEFAULTS, name)
    return io.Combo.Input(name, options=list(CHOICES[name]), default=default, optional=True, tooltip=TEXTS[name])


def _switch(name: str) -> io.Input:
    return io.Boolean.Input(name, default=getattr(DEFAULTS, name), optional=True, tooltip=TEXTS[name])


def _or_unset(name: str) -> str:
    return f"{TEXTS[name]} 0 leaves it unset."
