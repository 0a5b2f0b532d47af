"""Weights in fewer bits: which of their kinds a host can train on, measured on its own layers, and which it cannot."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

PLAIN_FILE = (
    "Load the same model's bf16 file, or its plain or scaled fp8 file, with Load Diffusion Model. The LoRA may be "
    "applied to the quantised model afterwards."
)
"""The way out of a kind that cannot be trained on."""
FILES = {
    "lumina2": "z_image_bf16.safetensors for Z-Image",
    "flux2": "flux-2-klein-base-4b.safetensors for FLUX.2 Klein 4B",
    "anima": "anima-base-v1.0.safetensors for Anima",
    "qwen_image": "qwen_image_fp8_e4m3fn.safetensors for Qwen-Image",
}
"""{the host's name of an architecture: a file that can be trained on, as the host's own templates name it}."""
KINDS = {
    "NVFP4": r"NVFP4",
    "MXFP8": r"MXFP8",
    "ConvRot W4A4": r"ConvRotW4A4",
    "W4A8": r"W4A8",
    "INT8": r"INT8",
    "fp8 with scales": r"FP8",
}
"""{kind, for people: a pattern of the host's layouts of quantised tensors}, the first that matches."""
PACKS = {
    "nunchaku's (SVDQuant, 4 bits)": r"nunchaku|svdq",
    "a GGUF file's": r"ggml|gguf",
}
"""{whose layers they are: a pattern of the names of their modules, classes and tensors}."""
ROWS, TOLERANCE = 4, 0.1
"""Inputs of the comparison, and how far a gradient may be from the exact one: rounding to bf16 is far below."""


def way_out(architecture: str) -> str:
    """The advice for a model of a kind that cannot be trained on. architecture: the host's name of it."""
    file = FILES.get(architecture)
    return PLAIN_FILE if file is None else f"{PLAIN_FILE} Such a file is {file}."


def quantised_by_a_pack(denoiser: nn.Module, architecture: str = "") -> str | None:
    """What is said of a denoiser whose layers are another pack's quantised ones, which have no gradient; None for any
    other.
    """
    for layer in denoiser.modules():
        kinds = [type(layer), *(type(tensor) for tensor in layer._parameters.values() if tensor is not None)]
        names = " ".join(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
        for whose, pattern in PACKS.items():
            if re.search(pattern, names, re.IGNORECASE):
                return f"The model's layers are {whose}, which cannot be trained on. {way_out(architecture)}"
    return None


def require_gradients(denoiser: nn.Module, device: torch.device, architecture: str = "") -> None:
    """Compare the gradient through a layer of every kind of quantised weights with that of the same weights as plain
    numbers. Raises ValueError, naming the kind, where the host has none, or another.
    """
    for layout, layer in _smallest_of_each(denoiser).items():
        kind = next((kind for kind, pattern in KINDS.items() if re.search(pattern, layout)), layout)
        distance, reason = _distance(layer, device)
        if reason or not distance <= TOLERANCE:
            why = reason or f"its gradient is wrong by {distance:.0%}"
            raise ValueError(
                f"The model's weights are {kind} ({layout}), which this ComfyUI cannot train on here: {why}. "
                f"{way_out(architecture)}"
            )


def layout_of(weight: Any) -> str | None:
    """The host's name of the layout of a quantised tensor; None for a plain one."""
    found = getattr(weight, "_layout_cls", None) or getattr(weight, "_layout_type", None)
    return found if found is None or isinstance(found, str) else found.__name__


def _smallest_of_each(denoiser: nn.Module) -> dict[str, Any]:
    """{layout: the smallest linear layer whose weights have it}."""
    layers: dict[str, Any] = {}
    layer: Any
    for layer in denoiser.modules():
        layout = layout_of(getattr(layer, "weight", None))
        if layout and isinstance(getattr(layer, "in_features", None), int):
            known = layers.get(layout)
            if known is None or layer.weight.numel() < known.weight.numel():
                layers[layout] = layer
    return layers


def _distance(layer: Any, device: torch.device) -> tuple[float, str]:
    """The relative distance of the gradient of a layer's inputs from the exact one, and why there is none, or ""."""
    weight = layer.weight.dequantize().to(device).float()
    source = torch.Generator().manual_seed(0)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    x = torch.randn(ROWS, weight.shape[1], generator=source).to(device, dtype).requires_grad_()
    along = torch.randn(ROWS, weight.shape[0], generator=source).to(device, dtype)
    try:
        found = _gradient(layer(x), x, along)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return float("nan"), f"{type(error).__name__} in a step ({str(error).splitlines()[0][:100]})"
    exact = along.float() @ weight
    return float((found.float() - exact).norm() / exact.norm()), ""


def _gradient(output: Tensor, x: Tensor, along: Tensor) -> Tensor:
    """The gradient of an input along a direction of the outputs. Raises RuntimeError where there is none."""
    return torch.autograd.grad(output, x, along.to(output.dtype))[0]
