"""Which of the host's models can be trained in its memory, and what is said of those that cannot."""

from __future__ import annotations

import re
from typing import Any

from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

from ...trainer.options import TrainOptions
from ...trainer.options.setting import OptionError
from .quantised import quantised_by_a_pack

VIDEO = re.compile(r"video|wan\d|mochi|ltx|svd|sv3d|cosmos(?!predict2)|kandinsky5$|seedvr|minimaxh|cogvideo", re.I)
SOUND = re.compile(r"audio|ace_?step|music", re.IGNORECASE)
SHAPES = re.compile(r"3d|zero123|trellis|triposplat", re.IGNORECASE)
EDIT = re.compile(r"instructpix2pix|ip2p|lotus|upscaler|refiner|unclip|_sr_|stablecascade_b|^pid$", re.IGNORECASE)
VISION = re.compile(r"rt_?detr|depthanything|^sam\d", re.IGNORECASE)
"""Parts of the names of the host's classes of models that do not make an image from a text alone."""

DISTILLED = re.compile(
    r"turbo|lightning|schnell|hyper[-_]?(?:sd|flux)|\blcm\b|[-_]lcm|distill|dmd\d|klein(?!.*base)"
    r"|(?<![\da-z])(?:[1248]|16)[-_ ]?steps?(?![a-z])",
    re.IGNORECASE,
)
"""Parts of the names of models and LoRAs for few steps; FLUX.2 Klein is one unless its name says "base"."""


def is_distilled(name: str) -> bool:
    """Whether a file or a host's configuration is, by its name, distilled for sampling in few steps."""
    return DISTILLED.search(name) is not None


def is_host_trained(model: Any) -> bool:
    """Whether a MODEL is trained in the host's memory; a UNet is read from its weights by a family of ours."""
    return not isinstance(model.model.diffusion_model, UNetModel)


def architecture_of(model: Any) -> str:
    """The host's name of a MODEL's architecture."""
    config = model.model.model_config.unet_config
    return str(config.get("image_model", type(model.model).__name__.lower()))


def require_trainable(model: Any) -> None:
    """Raises ValueError, naming the reason, for a MODEL that cannot be trained in the host's memory."""
    kind = type(model.model)
    reason = unsuitable(kind)
    if model.model.concat_keys:
        reason = reason or "fills in parts of a picture (inpainting)"
    if getattr(model.get_model_object("latent_format"), "latent_dimensions", 2) == 1:
        reason = reason or "has latents of one dimension, which are no picture's"
    if reason:
        raise ValueError(f"The model is a {kind.__name__}, which {reason}: only text-to-image models can be trained.")
    if told := quantised_by_a_pack(model.model.diffusion_model, architecture_of(model)):
        raise ValueError(told)
    if beside := _beside_the_weights(model):
        raise ValueError(
            f"The model is patched by {', '.join(beside)}, under which it cannot be trained: connect it from before "
            "the node that does this. LoRAs and the ModelSampling nodes may stay."
        )


def unsuitable(kind: type) -> str | None:
    """Why models of a host's class are not trained here, by the names of it and its ancestors; None where they are."""
    reasons = {
        VIDEO: "makes videos",
        SOUND: "makes sound",
        SHAPES: "makes shapes in space",
        EDIT: "does not make a picture from words alone",
        VISION: "looks at pictures and makes none",
    }
    # An image model may descend from its family's video model.
    names = [kind.__name__] if "image" in kind.__name__.lower() else [one.__name__ for one in kind.__mro__]
    return next((reason for parts, reason in reasons.items() if any(parts.search(name) for name in names)), None)


def _beside_the_weights(model: Any) -> list[str]:
    """What a graph has changed of a MODEL besides its weights and objects."""
    options = {name: value for name, value in model.model_options.items() if name != "transformer_options"}
    options |= model.model_options.get("transformer_options", {})
    found = [name for name, value in options.items() if value]
    # The host keeps empty lists and dictionaries where nothing was added.
    for name in ("weight_wrapper_patches", "hook_patches", "injections", "attachments", "additional_models"):
        if getattr(model, name, None):
            found.append(name)
    wrapped = {**getattr(model, "wrappers", {}), **getattr(model, "callbacks", {})}
    return found + [str(name) for name, by_key in wrapped.items() if any(by_key.values())]


def require_supported(options: TrainOptions) -> None:
    """Raises OptionError for options that do not go with a model in the host's memory."""
    refused = {
        f"method is {options.method!r}; only 'lora' trains this kind of model": options.method != "lora",
        f"word_share is {options.word_share:g}; this kind of model's text encoder takes no new words": (
            options.word_share > 0
        ),
        "train_text_encoder is True; this kind of model's text encoder cannot be trained": options.train_text_encoder,
        "base_in_8_bits is True; load the model in fewer bits with ComfyUI's own loader": options.base_in_8_bits,
        f"precision is {options.precision!r}; ComfyUI chooses this model's precision, so leave it at 'auto'": (
            options.precision != "auto"
        ),
        f"memory is {options.memory!r}; ComfyUI decides what of this model is on the device, so leave it at 'auto'": (
            options.memory not in ("auto", "off")
        ),
    }
    for text, is_so in refused.items():
        if is_so:
            raise OptionError(f"{text}.")
