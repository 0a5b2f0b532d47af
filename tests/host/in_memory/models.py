"""Models as ComfyUI's loaders leave them, and trainings of a few steps on them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import comfy.ldm.flux.model
import comfy.model_detection
import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model import sampling
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host
from dreambooth_nodes.tests.host.tiny_models import qwen_shapes, random_weights, sd3_shapes, taesd_shapes
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import Run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.subject.photos import photos_from_tensors
from dreambooth_nodes.trainer.subject.subject import Subject

SIDE = 64
SHORT, LONG = "a dog", "a dog " * 60
"""Prompts whose embeddings differ in length."""
Parts = tuple[Any, Any, Any]
"""A MODEL, CLIP and VAE."""


def sd3() -> Any:
    """The tiny Stable Diffusion 3, as a stock loader leaves it."""
    return comfy.sd.load_diffusion_model_state_dict(random_weights(sd3_shapes()))


def qwen() -> Any:
    """A tiny Qwen-Image, whose sizes the host would not read from its file."""
    detect = comfy.model_detection.detect_unet_config

    def sized(*arguments: Any, **named: Any) -> Any:
        return {**detect(*arguments, **named), "num_attention_heads": 1, "joint_attention_dim": 768}

    comfy.model_detection.detect_unet_config = sized
    try:
        return comfy.sd.load_diffusion_model_state_dict(random_weights(qwen_shapes()))
    finally:
        comfy.model_detection.detect_unet_config = detect


def flux() -> Any:
    """A tiny FLUX.1, whose blocks add to their inputs in place; the host would not read its heads from its file."""
    detect = comfy.model_detection.detect_unet_config
    sizes = {"in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 768, "hidden_size": 128,
             "mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56],
             "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": False}  # fmt: skip
    network = comfy.ldm.flux.model.Flux(**sizes, dtype=torch.float32, device="cpu", operations=comfy.ops.manual_cast)
    weights = random_weights({name: tuple(weight.shape) for name, weight in network.state_dict().items()})
    comfy.model_detection.detect_unet_config = lambda *a, **named: {**detect(*a, **named), "num_heads": 1}
    try:
        return comfy.sd.load_diffusion_model_state_dict(weights)
    finally:
        comfy.model_detection.detect_unet_config = detect


def small_vae() -> Any:
    """A VAE of 16 channels."""
    halves = taesd_shapes()
    weights = {
        f"taesd_{half}.{name}": weight
        for half, shapes in halves.items()
        for name, weight in random_weights(shapes).items()
    }
    return comfy.sd.VAE(sd={**weights, "vae_scale": torch.tensor(1.5), "vae_shift": torch.tensor(0.1)})


def subject() -> Subject:
    """Three random pictures of a dog."""
    source = torch.Generator().manual_seed(0)
    pictures = [torch.rand(SIDE, SIDE, 3, generator=source) for _ in range(3)]
    return Subject(photos_from_tensors(pictures, None, SIDE, SIDE), "dog", SIDE, SIDE)


def trained(
    parts: Parts,
    store: Store | None = None,
    tell: Callable[[Any], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Run:
    """A run of a few steps."""
    chosen = TrainOptions(**{"steps": 6, "learning_rate": 1e-2, "rank": 4, "sample_count": 0, **options})
    request = Request(subject=subject(), identifier="olt", options=chosen, name="tiny")
    return train_in_host(host_base(*parts), request, store or new_store(), tell, stop)[1]


def losses(run: Run) -> list[float]:
    """The losses of a run."""
    return [point.instance for point in run.losses()]


def drawn(parts: Parts, sampler: str = "euler") -> Tensor:
    """A picture as the stock sampler draws it."""
    model, clip, vae = parts
    texts = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a photo of olt dog", "")]
    return sampling.draw(model, vae, texts[0], texts[1], (SIDE, SIDE), 0, sampler, 4)


@cache
def toybase() -> Parts:
    """The embedded base."""
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(cached_toybase()))[:3]
    return model, clip, vae


def with_words(model: Any) -> Parts:
    """A MODEL of latents of 16 channels, with the embedded base's text encoder and a small VAE."""
    return model, toybase()[1], small_vae()


def new_store() -> Store:
    """An empty store in a temporary folder."""
    folder = Path(tempfile.mkdtemp())
    return Store(folder / "loras", folder / "checkpoints", folder / "work")
