"""Models as ComfyUI's loaders leave them, and trainings of a few steps on them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import comfy.ldm.flux.model
import comfy.ldm.lumina.model
import comfy.ops
import comfy.sd
import comfy.taesd.taesd
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model import sampling
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host
from dreambooth_nodes.tests.host.tiny_models import qwen_shapes, random_weights, sd3_shapes
from dreambooth_nodes.tests.host.tiny_sizes import WORDS, z_image_sizes
from dreambooth_nodes.tests.host.tiny_vaes import taesd_shapes, wan_vae_shapes
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


def sd3(seed: int = 0) -> Any:
    """The tiny Stable Diffusion 3, as a stock loader leaves it."""
    return loaded(random_weights(sd3_shapes(), seed))


def qwen() -> Any:
    """A tiny Qwen-Image."""
    return loaded(random_weights(qwen_shapes()))


def flux(width: int = 128, blocks: int = 1) -> Any:
    """A FLUX.1 of so many double and single blocks, which add to their inputs in place; heads of 128."""
    sizes = {"in_channels": 16, "out_channels": 16, "vec_in_dim": WORDS, "context_in_dim": WORDS, "hidden_size": width,
             "mlp_ratio": 4.0, "num_heads": width // 128, "depth": blocks, "depth_single_blocks": blocks,
             "axes_dim": [16, 56, 56], "theta": 10000, "patch_size": 2, "qkv_bias": True,
             "guidance_embed": False}  # fmt: skip
    return loaded(weights_of(comfy.ldm.flux.model.Flux, sizes))


def z_image(width: int = 256) -> Any:
    """A Z-Image of one layer."""
    return loaded(z_image_weights(width))


def z_image_weights(width: int = 256) -> dict[str, Tensor]:
    """Of one layer of this width."""
    return weights_of(comfy.ldm.lumina.model.NextDiT, z_image_sizes(width))


def weights_of(kind: Callable[..., torch.nn.Module], sizes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Random weights of a denoiser of these sizes."""
    network = kind(**sizes, dtype=torch.float32, device="meta", operations=comfy.ops.manual_cast)
    return random_weights({name: tuple(weight.shape) for name, weight in network.state_dict().items()})


def loaded(weights: dict[str, Tensor]) -> Any:
    """The MODEL of these weights, as a stock loader leaves it."""
    return comfy.sd.load_diffusion_model_state_dict(weights)


def small_vae() -> Any:
    """A VAE of 16 channels."""
    halves = taesd_shapes()
    weights = {
        f"taesd_{half}.{name}": weight
        for half, shapes in halves.items()
        for name, weight in random_weights(shapes).items()
    }
    return comfy.sd.VAE(sd={**weights, "vae_scale": torch.tensor(1.5), "vae_shift": torch.tensor(0.1)})


def wan_vae() -> Any:
    """Qwen-Image's kind of VAE, whose latents have an axis of frames."""
    return comfy.sd.VAE(sd=random_weights(wan_vae_shapes()))


def flux2_vae() -> Any:
    """A VAE of FLUX.2's latents, of 128 channels for 16 pixels a side; newer hosts know it."""
    return comfy.sd.VAE(sd=flux2_vae_weights(), metadata={"tae_latent_channels": 128})


def flux2_vae_weights() -> dict[str, Tensor]:
    """The weights of that VAE."""
    with torch.device("meta"):
        shapes = {name: tuple(w.shape) for name, w in comfy.taesd.taesd.TAESD(latent_channels=128).state_dict().items()}
    return random_weights(shapes)


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
    model, _, vae = parts
    return sampling.draw(
        model,
        vae,
        told("a photo of olt dog"),
        told(""),
        (SIDE, SIDE),
        0,
        sampling.HowDrawn(sampler, 4, sampling.GUIDANCE),
    )


@cache
def told(text: str) -> Any:
    """The host's conditioning of a prompt by the embedded base's text encoder, which all of these models have."""
    clip = toybase()[1]
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


@cache
def toybase() -> Parts:
    """The embedded base."""
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(cached_toybase()))[:3]
    return model, clip, vae


def with_words(model: Any) -> Parts:
    """A MODEL of latents of 16 channels, with the embedded base's text encoder and a VAE of its kind."""
    latents = model.get_model_object("latent_format")
    if latents.latent_channels == 128:
        return model, toybase()[1], flux2_vae()
    return model, toybase()[1], wan_vae() if latents.latent_dimensions == 3 else small_vae()


def new_store() -> Store:
    """An empty store in a temporary folder."""
    folder = Path(tempfile.mkdtemp())
    return Store(folder / "loras", folder / "checkpoints", folder / "work")
