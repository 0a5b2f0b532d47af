"""A step's loss by the classes of diffusers and transformers alone, one component in memory at a time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from safetensors import safe_open
from torch import Tensor, nn
from transformers import CLIPTokenizer

from dreambooth_nodes.machine_check.full_size import UNETS, VAE_CONFIG, new_text_encoder
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import VOCABULARY

SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SCALES = {"sd1": 0.18215, "sd2": 0.18215, "sdxl": 0.13025}


@dataclass(frozen=True)
class Shown:
    """A step's images: pixels [2, 3, H, W] in 0..1, the instance first, and all that is drawn for them.

    posterior, noise: [2, 4, H/8, W/8], the VAE's and the diffusion's. t: timesteps [2].
    """

    pixels: Tensor
    posterior: Tensor
    noise: Tensor
    t: Tensor
    prompts: tuple[str, str]


def read(file: Path, prefix: str) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys() if key.startswith(prefix)}  # noqa: SIM118


def filled(module: nn.Module, tensors: dict[str, Tensor]) -> Any:
    """A module of the meta device with these float32 weights; transformers 5 leaves `text_model.` out of its names."""
    bare = {name.removeprefix("text_model."): tensor.float() for name, tensor in tensors.items()}
    own = {name: bare[name.removeprefix("text_model.")] for name in module.state_dict()}
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def clip_l(file: Path, prefix: str) -> Any:
    with init_empty_weights():
        module = new_text_encoder(768, 12)
    return filled(module, single_file_utils.convert_ldm_clip_checkpoint(read(file, prefix)))


def open_clip(file: Path, prefix: str, width: int, layers: int, projected: bool = False) -> Any:
    with init_empty_weights():
        module = new_text_encoder(width, layers, projected)
    tensors = single_file_utils.convert_open_clip_checkpoint(module, read(file, prefix), prefix=prefix)
    return filled(module, tensors)


def ids(prompts: tuple[str, ...], pad: str) -> Tensor:
    files = str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt")
    tokenizer = CLIPTokenizer(*files, model_max_length=77, pad_token=pad)
    return tokenizer(list(prompts), padding="max_length", return_tensors="pt").input_ids


@torch.no_grad()
def told(family: str, file: Path, shown: Shown) -> dict[str, Any]:
    """What the UNet is told: SD 1 the last layer, SD 2 the 23rd of 24, SDXL both last but ones, a summary and sizes."""
    if family == "sd1":
        encoder = clip_l(file, "cond_stage_model.")
        return {"encoder_hidden_states": encoder(ids(shown.prompts, "<|endoftext|>"))[0]}
    if family == "sd2":
        encoder = open_clip(file, "cond_stage_model.model.", 1024, 23)
        return {"encoder_hidden_states": encoder(ids(shown.prompts, "!"))[0]}
    encoder = clip_l(file, "conditioner.embedders.0.")
    first = encoder(ids(shown.prompts, "<|endoftext|>"), output_hidden_states=True).hidden_states[-2]
    encoder = open_clip(file, "conditioner.embedders.1.model.", 1280, 32, projected=True)
    second = encoder(ids(shown.prompts, "!"), output_hidden_states=True)
    height, width = shown.pixels.shape[-2:]
    sizes = torch.tensor([[height, width, 0, 0, height, width]] * 2)
    both = torch.cat([first, second.hidden_states[-2]], dim=-1)
    return {
        "encoder_hidden_states": both,
        "added_cond_kwargs": {"text_embeds": second.text_embeds, "time_ids": sizes},
    }


@torch.no_grad()
def latents(family: str, file: Path, shown: Shown) -> Tensor:
    """x: a draw from the VAE's posterior, in the scale that the family's UNet is shown."""
    with init_empty_weights():
        vae = AutoencoderKL(**VAE_CONFIG)
    vae = filled(vae, single_file_utils.convert_ldm_vae_checkpoint(read(file, "first_stage_model."), vae.config))
    posterior = vae.encode(shown.pixels * 2 - 1).latent_dist
    return (posterior.mean + posterior.std * shown.posterior) * SCALES[family]


def unet(family: str, file: Path, dtype: torch.dtype) -> Any:
    """Its linear layers and convolutions in `dtype`."""
    with init_empty_weights():
        module = UNet2DConditionModel(**UNETS[family])
    tensors = single_file_utils.convert_ldm_unet_checkpoint(read(file, "model.diffusion_model."), dict(module.config))
    module.load_state_dict(tensors, assign=True)
    for layer in module.modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.to(dtype if isinstance(layer, nn.Linear | nn.Conv2d) else torch.float32)
    return module.eval().requires_grad_(False)


def losses(
    family: str, file: Path, shown: Shown, prediction: str, prior_weight: float, dtype: torch.dtype,
    of: tuple[str, ...] = (),
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:  # fmt: skip
    """‖ε̂(z_t, c) − ε‖² (or of v) of the instance, that plus λ times the prior's, and its gradients.

    dtype: of the UNet's forward. of: the weights to take the gradient in.
    """
    conditioning, x = told(family, file, shown), latents(family, file, shown)
    scheduler = DDPMScheduler(**SCHEDULE, prediction_type=prediction)
    z = scheduler.add_noise(x, shown.noise, shown.t)
    target = shown.noise if prediction == "epsilon" else scheduler.get_velocity(x, shown.noise, shown.t)
    module = unet(family, file, dtype)
    weights = {name: module.get_parameter(name).requires_grad_(True) for name in of}
    with nullcontext() if dtype == torch.float32 else torch.autocast("cpu", dtype), torch.set_grad_enabled(bool(of)):
        answer = module(z, shown.t, **conditioning).sample.float()
    instance, prior = ((answer - target) ** 2).mean(dim=(1, 2, 3))
    total = instance + prior_weight * prior
    gradients = torch.autograd.grad(total, list(weights.values())) if of else ()
    return instance.detach(), total.detach(), dict(zip(weights, gradients, strict=True))
