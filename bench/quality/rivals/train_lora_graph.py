"""The graph around ComfyUI's own TrainLoraNode: photos in, a LoRA file out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....demo.workflow import WIDGET_TYPES, NodeInfo, Prompt, inputs_of
from ..contender import Work
from .precision import chosen_precision

TRAIN, SAVE = "train", "save"
LORA_PREFIX = "rival"
PRECISIONS = ("bf16", "fp32")


class GraphError(ValueError):
    """The host's nodes are not those that the graph is made of."""


def graph(work: Work, steps: int, checkpoint: str, photos: str, info: Mapping[str, NodeInfo]) -> Prompt:
    """The prompt that trains for `steps` and saves the LoRA; inputs that `work` does not decide have their default,
    the LoRA's dtype (bf16) among them.

    checkpoint: a file name of the host's checkpoints; photos: a folder's in its input folder; info: /object_info.
    Raises GraphError for a host without these nodes or inputs.
    """
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "base": ("CheckpointLoaderSimple", {"ckpt_name": checkpoint}),
        "photos": ("LoadImageDataSetFromFolder", {"folder": photos}),
        "latents": ("VAEEncode", {"pixels": ["photos", 0], "vae": ["base", 2]}),
        "text": ("CLIPTextEncode", {"clip": ["base", 1], "text": work.instance_prompt}),
        TRAIN: ("TrainLoraNode", _training(work, steps)),
        SAVE: ("SaveLoRA", {"lora": [TRAIN, 1], "prefix": LORA_PREFIX, "steps": steps}),
    }
    return {number: _node(kind, inputs, info) for number, (kind, inputs) in asked.items()}


def _training(work: Work, steps: int) -> dict[str, Any]:
    return {
        "model": ["base", 0],
        "latents": ["latents", 0],
        "positive": ["text", 0],
        "batch_size": work.batch_size,
        "steps": steps,
        "learning_rate": work.learning_rate,
        "rank": work.rank,
        "optimizer": "AdamW",
        "loss_function": "MSE",
        "seed": work.seed,
        "training_dtype": chosen_precision(work),
        "algorithm": "LoRA",
        "gradient_checkpointing": False,
    }


def require_possible(work: Work) -> None:
    """Raise ValueError for work that the node has no way to do."""
    if work.prior_weight > 0:
        raise ValueError(f"TrainLoraNode has no prior preservation: prior_weight must be 0, not {work.prior_weight}")
    if work.method != "lora":
        raise ValueError(f"TrainLoraNode trains LoRAs, not {work.method!r}")
    if chosen_precision(work) not in PRECISIONS:
        raise ValueError(f"TrainLoraNode trains in {' or '.join(PRECISIONS)}, not in {chosen_precision(work)}")


def _node(kind: str, inputs: dict[str, Any], info: Mapping[str, NodeInfo]) -> dict[str, Any]:
    if kind not in info:
        raise GraphError(f"this ComfyUI has no node {kind!r}: TrainLoraNode needs a newer one (0.3.75 has it)")
    known = {name for name, _, _ in inputs_of(info[kind])}
    if unknown := sorted(inputs.keys() - known):
        raise GraphError(f"{kind} of this ComfyUI has no inputs {', '.join(unknown)}, only {', '.join(sorted(known))}")
    return {"class_type": kind, "inputs": {**_defaults(info[kind]), **inputs}, "_meta": {"title": kind}}


def _defaults(info: NodeInfo) -> dict[str, Any]:
    return {
        name: options["default"]
        for name, kind, options in inputs_of(info)
        if kind in WIDGET_TYPES and "default" in options
    }
