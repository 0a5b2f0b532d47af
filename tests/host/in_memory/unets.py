"""Stable Diffusion 1 and XL through the adapter beside the families of ours that read their files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import comfy.model_detection
import comfy.model_sampling
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.models import SHORT, SIDE, Parts
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.model.base import Base, Conditioning
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.subject.frame import Frame

STEPS = 20


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative to the size of the second."""
    return float((ours - theirs).norm() / theirs.norm())


def answers(base: HostModel, family: Base, told: Conditioning, known: Conditioning) -> dict[str, float]:
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


def embedded(parts: Parts, prediction: str) -> dict[str, float]:
    """The embedded base, its denoiser read as one that answers by this prediction."""
    family = load_base(cached_toybase(), prediction)
    photo = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        ours, theirs = base.encode_images(photo), family.encode_images(photo)
        latents = {"mean": distance(ours.mean, theirs.mean), "std": distance(ours.std, theirs.std)}
        return latents | answers(base, family, base.encode_prompts([SHORT]), family.encode_prompts([SHORT]))


def by_v(parts: Parts) -> Parts:
    """The same model, told by the graph that it answers v, as ModelSamplingDiscrete does."""
    clone = parts[0].clone()
    kinds = (comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION)
    clone.add_object_patch("model_sampling", type("ModelSamplingAdvanced", kinds, {})(clone.model.model_config))
    return clone, parts[1], parts[2]


def small_xl(parts: Parts) -> dict[str, float]:
    """A small SDXL, whose sizes the host does not know: conditioned alike on text, pooled vector and sizes."""
    find = comfy.model_detection.model_config_from_unet_config
    comfy.model_detection.model_config_from_unet_config = lambda config, state=None: comfy.supported_models.SDXL(config)
    with tempfile.TemporaryDirectory() as folder:
        file = write_checkpoint("sdxl", Path(folder) / "xl.safetensors")
        try:
            model = comfy.sd.load_diffusion_model_state_dict(comfy.utils.load_torch_file(str(file)))
        finally:
            comfy.model_detection.model_config_from_unet_config = find
        family = load_base(file, "epsilon")
        with HostModel(model, *parts[1:], "").borrowed() as base, torch.no_grad():
            known = family.encode_prompts([SHORT])
            base.prompts = [{"cross_attn": known["context"], "pooled_output": known["pooled"]}]
            known |= family.frame_conditioning([Frame.whole(SIDE, SIDE)])
            return answers(base, family, {PROMPT: torch.zeros(1, dtype=torch.int64)}, known)


def figures() -> dict[str, Any]:
    """The embedded base as it is and by v, a small SDXL."""
    parts = models.toybase()
    return {
        "epsilon": embedded(parts, "epsilon"),
        "v": embedded(by_v(parts), "v_prediction"),
        "sdxl": small_xl(parts),
    }
