"""Graphs that train a kind of model that no family of ours reads, by stock loaders, and what is read off their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.workflow import Prompt
from dreambooth_nodes.tests.host.graphs import IDENTIFIER, PROMPT, SIDE, node, pixels

SAMPLED = {"seed": 0, "steps": 20, "cfg": 5.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
"""What the pack draws its samples with, as KSampler takes it."""
STEPS = 4


@dataclass(frozen=True)
class Kind:
    """A kind of model: the files of its denoiser and VAE among the host's, the host's name of its architecture, the
    layers that a LoRA has, and the node of its empty latents.
    """

    model: str
    vae: str
    architecture: str
    layers: Sequence[str]
    latents: str = "EmptySD3LatentImage"


def loaded(kind: Kind) -> Prompt:
    """Model, CLIP and VAE by stock loaders, and photos."""
    subject = next(iter(example.example_subjects().values()))
    return {
        "model": node("UNETLoader", unet_name=kind.model, weight_dtype="default"),
        "clip": node("LoadToyBase"),
        "vae": node("VAELoader", vae_name=kind.vae),
        "photos": node(
            "LoadInstanceImages", folder=subject.folder, class_noun=subject.class_noun, resolution=SIDE
        ),
    }  # fmt: skip


def training(
    kind: Kind, steps: int = STEPS, model: str = "model", options: dict[str, Any] | None = None, **inputs: Any
) -> Prompt:
    """A graph that draws priors and trains."""
    base = {"model": [model, 0], "clip": ["clip", 1], "vae": ["vae", 0], "subject": ["photos", 0]}
    return {
        **loaded(kind),
        "options": node("DreamBoothOptions", **{"sample_count": 0, "sample_prompt": PROMPT, **(options or {})}),
        "priors": node("GenerateClassPriors", **base, count=2, seed=0, steps=2, batch_size=2),
        "train": node(
            "DreamBoothTrain", **base, class_priors=["priors", 0], options=["options", 0],
            **{"identifier": IDENTIFIER, "method": "lora", "preset": "balanced", "steps": steps,
               "learning_rate": 1e-2, "seed": 0, "name": "any", **inputs},
        ),
    }  # fmt: skip


def pictures(host: ComfyUI, kind: Kind, prompt: Prompt, *models: str) -> list[np.ndarray]:
    """A picture of the prompt by the stock sampler with each of these models: int16 [H, W, 3]."""
    graph = {
        **prompt,
        "positive": node("CLIPTextEncode", clip=["clip", 1], text=PROMPT),
        "negative": node("CLIPTextEncode", clip=["clip", 1], text=""),
        "empty": node(kind.latents, width=SIDE, height=SIDE, batch_size=1),
    }
    for model in models:
        graph[f"{model}: sampled"] = node(
            "KSampler", model=[model, 0], positive=["positive", 0], negative=["negative", 0],
            latent_image=["empty", 0], **SAMPLED,
        )  # fmt: skip
        graph[f"{model}: image"] = node("VAEDecode", samples=[f"{model}: sampled", 0], vae=["vae", 0])
        graph[f"{model}: shown"] = node("PreviewImage", images=[f"{model}: image", 0])
    outputs = host.run(graph)
    return [pixels(host.images(outputs, f"{model}: shown")[0]) for model in models]


def applied(model: str, result: str, strength: float = 1.0) -> dict[str, Any]:
    """The node that applies a result to a model."""
    return node(
        "ApplyPersonalizedModel", model=[model, 0], clip=["clip", 1], personalized_model=[result, 0],
        strength_model=strength, strength_clip=strength,
    )  # fmt: skip


def by_the_stock_loader(file: Path) -> dict[str, Any]:
    """The node that loads a LoRA."""
    return node(
        "LoraLoader", model=["model", 0], clip=["clip", 1], lora_name=file.name, strength_model=1.0, strength_clip=1.0
    )


def lora_of(run: dict[str, Any], host: ComfyUI) -> Path:
    """The file of a run's result."""
    return Path(host.output_directory / run["files"][-1]["file"])


def weights_of(run: dict[str, Any], host: ComfyUI) -> dict[str, Any]:
    """The weights of a run's result."""
    return {name: weight.tolist() for name, weight in load_file(lora_of(run, host)).items()}


def newest_sample(host: ComfyUI, step: int) -> np.ndarray:
    """The newest sample picture of a step: int16 [H, W, 3]."""
    samples = (host.output_directory / "dreambooth" / "runs").glob(f"*/samples/*{step}*.png")
    return pixels(max(samples, key=lambda path: path.stat().st_mtime_ns).read_bytes())
