"""Models as ComfyUI's loaders leave them, and trainings of a few steps on them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import comfy.ldm.flux.model
import comfy.ldm.lumina.model
import comfy.model_detection
import comfy.ops
import comfy.sd
import comfy.supported_models
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model import sampling
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host
from dreambooth_nodes.tests.host.tiny_models import WORDS, qwen_shapes, random_weights, sd3_shapes, taesd_shapes
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
    sizes = {"num_attention_heads": 1, "joint_attention_dim": WORDS}
    return loaded(random_weights(qwen_shapes()), "QwenImage", sizes)


def flux() -> Any:
    """A tiny FLUX.1, whose blocks add to their inputs in place; the host would not read its heads from its file."""
    sizes = {"in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 768, "hidden_size": 128,
             "mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56],
             "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": False}  # fmt: skip
    return loaded(weights_of(comfy.ldm.flux.model.Flux, sizes), "Flux", {"num_heads": 1})


def z_image() -> Any:
    """A Z-Image of one layer and eight heads of 32, whose sizes the host would not read from its weights."""
    sizes = {"patch_size": 2, "in_channels": 16, "dim": 256, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 8,
             "n_kv_heads": 8, "axes_dims": [8, 12, 12], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
             "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
             "qk_norm": True, "cap_feat_dim": WORDS}  # fmt: skip
    return loaded(weights_of(comfy.ldm.lumina.model.NextDiT, sizes), "ZImage", sizes)


def weights_of(kind: Callable[..., torch.nn.Module], sizes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Random weights of a denoiser of these sizes."""
    network = kind(**sizes, dtype=torch.float32, device="meta", operations=comfy.ops.manual_cast)
    return random_weights({name: tuple(weight.shape) for name, weight in network.state_dict().items()})


def loaded(weights: dict[str, Tensor], configuration: str, sizes: Mapping[str, Any]) -> Any:
    """The model of these weights, whose configuration the host is told."""
    find, kind = comfy.model_detection.model_config_from_unet_config, getattr(comfy.supported_models, configuration)
    comfy.model_detection.model_config_from_unet_config = lambda config, *_, **__: kind({**config, **sizes})
    try:
        return comfy.sd.load_diffusion_model_state_dict(weights)
    finally:
        comfy.model_detection.model_config_from_unet_config = find


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


def request_of(continue_from: Path | None = None, **options: Any) -> Request:
    """The request of a run of a few steps."""
    chosen = TrainOptions(**{"steps": 6, "learning_rate": 1e-2, "rank": 4, "sample_count": 0, **options})
    return Request(subject=subject(), identifier="olt", options=chosen, name="tiny", continue_from=continue_from)


def trained(
    parts: Parts,
    store: Store | None = None,
    tell: Callable[[Any], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Run:
    """A run of a few steps."""
    return train_in_host(host_base(*parts), request_of(**options), store or new_store(), tell, stop)[1]


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
