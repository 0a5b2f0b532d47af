"""diffusers' own pipelines of the small models, from modules that no code of ours touched."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor
from transformers import CLIPTokenizer

from dreambooth_nodes.tests.trainer.model.families.small import components
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import VOCABULARY
from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import SCHEDULE

SIDE = 64


def tokenizer(pad: str) -> Any:
    files = str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt")
    return CLIPTokenizer(*files, model_max_length=77, pad_token=pad)


def pipeline(family: str) -> Any:
    """The weights of `small.write_checkpoint`."""
    parts = {name: module.eval() for name, (module, _) in components(family).items()}
    parts["unet"] = parts.pop("denoiser")
    scheduler = DDPMScheduler(**SCHEDULE)
    if family != "sdxl":
        pad = "<|endoftext|>" if family == "sd1" else "!"
        none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        return StableDiffusionPipeline(**parts, tokenizer=tokenizer(pad), scheduler=scheduler, **none)
    pads = {"tokenizer": tokenizer("<|endoftext|>"), "tokenizer_2": tokenizer("!")}
    return StableDiffusionXLPipeline(**parts, **pads, scheduler=scheduler, add_watermarker=False)


def encoded(pipe: Any, family: str, prompts: list[str]) -> dict[str, Any]:
    """diffusers' conditioning for its UNet, for whole images of SIDE pixels."""
    given = {"prompt": prompts, "device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    if family != "sdxl":
        return {"encoder_hidden_states": pipe.encode_prompt(**given)[0]}
    context, _, pooled, _ = pipe.encode_prompt(**given)
    sizes = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]] * len(prompts))
    return {"encoder_hidden_states": context, "added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}


@torch.no_grad()
def unet_answer(pipe: Any, family: str, words: str) -> Tensor:
    """The UNet's answer for fixed latents: it depends on every weight of UNet and text encoders."""
    z = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(1))
    found: Tensor = pipe.unet(z, torch.tensor([500]), **encoded(pipe, family, [words])).sample
    return found
