"""Stable Diffusion 1 and XL through the adapter beside the families of ours that read their files."""

from __future__ import annotations

from typing import Any

import comfy.model_detection
import comfy.model_sampling
import comfy.supported_models
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.models import SHORT, SIDE, Parts
from dreambooth_nodes.tests.trainer.model.families.small import DEPTHS, WIDTHS, new_unet
from dreambooth_nodes.trainer.model.base import Base, Conditioning
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import denoiser_table
from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import alphas_cumprod
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks
from dreambooth_nodes.trainer.model.noise_process import Diffusion, Prediction
from dreambooth_nodes.trainer.subject.frame import Frame


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative to the size of the second."""
    return float((ours - theirs).norm() / theirs.norm())


def answers(base: HostModel, family: Base | SmallUNet, told: Conditioning, known: Conditioning) -> dict[str, float]:
    """Levels, answer and target of a host's model beside a family's; relative distances.

    told, known: the conditioning of one prompt, of each.
    """
    u = torch.rand(4, generator=torch.Generator().manual_seed(1))
    x, eps = (torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    sigma, t = base.noise_process.draw_timesteps(u), family.noise_process.draw_timesteps(u)
    answer = base.predict(base.noise_process.add_noise(x, eps, sigma), sigma, {PROMPT: told[PROMPT].expand(4)})
    rows = {name: value.expand(4, *value.shape[1:]) for name, value in known.items()}
    wanted = family.predict(family.noise_process.add_noise(x, eps, t), t, rows)
    return {
        "answer": distance(answer, wanted),
        "target": distance(base.noise_process.target(x, eps, sigma), family.noise_process.target(x, eps, t)),
        "signal to noise": distance(base.noise_process.signal_to_noise(sigma), family.noise_process.signal_to_noise(t)),
        "error of the image": distance(base.noise_process.image_error(sigma), family.noise_process.image_error(t)),
    }


def embedded(parts: Parts) -> dict[str, float]:
    """The embedded base, which answers by ε; its posterior as well."""
    family = load_base(cached_toybase(), "epsilon")
    photo = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        ours, theirs = base.encode_images(photo), family.encode_images(photo)
        latents = {"mean": distance(ours.mean, theirs.mean), "std": distance(ours.std, theirs.std)}
        return latents | answers(base, family, base.encode_prompts([SHORT]), family.encode_prompts([SHORT]))


def by_v(model: Any) -> Any:
    """The same model, told by the graph that it answers v, as ModelSamplingDiscrete does."""
    clone = model.clone()
    kinds = (comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION)
    clone.add_object_patch("model_sampling", type("ModelSamplingAdvanced", kinds, {})(clone.model.model_config))
    return clone


def loaded_as(configuration: str, weights: dict[str, Tensor]) -> Any:
    """The MODEL of a denoiser's weights, whose configuration the host is told."""
    find = comfy.model_detection.model_config_from_unet_config
    kind = getattr(comfy.supported_models, configuration)
    comfy.model_detection.model_config_from_unet_config = lambda config, *_, **__: kind(config)
    try:
        return models.loaded(weights)
    finally:
        comfy.model_detection.model_config_from_unet_config = find


class SmallUNet:
    """A small UNet of random weights, and the noise process of its family."""

    def __init__(self, family: str, prediction: Prediction) -> None:
        torch.manual_seed(1)
        self.unet = new_unet(family)
        self.noise_process = Diffusion(alphas_cumprod(False), prediction)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """Its answer; what it is told besides the prompt only where its family is."""
        told = {name: conditioning[name] for name in ("text_embeds", "time_ids") if name in conditioning}
        return self.unet(noisy, timesteps, conditioning["context"], added_cond_kwargs=told, return_dict=False)[0]


def small(parts: Parts, name: str, configuration: str, prediction: Prediction) -> dict[str, float]:
    """A small UNet of a family, whose sizes the host does not know, in the host and in diffusers, conditioned alike."""
    family = SmallUNet(name, prediction)
    table = denoiser_table("", Blocks.even(1, DEPTHS[name]))
    model = loaded_as(configuration, table.to_original(family.unet.state_dict()))
    if prediction == "v_prediction":
        model = by_v(model)
    source = torch.Generator().manual_seed(4)
    known = {"context": torch.randn(1, 77, WIDTHS[name], generator=source)}
    if name == "sdxl":
        known["text_embeds"] = torch.randn(1, 1280, generator=source)
        known["time_ids"] = torch.tensor([Frame.whole(SIDE, SIDE).numbers])
    with HostModel(model, *parts[1:], "").borrowed() as base, torch.no_grad():
        base.prompts = [{"cross_attn": known["context"], "pooled_output": known.get("text_embeds")}]
        return answers(base, family, {PROMPT: torch.zeros(1, dtype=torch.int64)}, known)


def figures() -> dict[str, Any]:
    """The embedded base, a small SD 2 by v, a small SDXL."""
    parts = models.toybase()
    return {
        "epsilon": embedded(parts),
        "v": small(parts, "sd2", "SD20", "v_prediction"),
        "sdxl": small(parts, "sdxl", "SDXL", "epsilon"),
    }
