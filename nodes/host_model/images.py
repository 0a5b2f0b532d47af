"""Pictures to and from the latents of a host's VAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def encode_pixels(vae: Any, pixels: Tensor, scaled: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [B, C, h, w] of the VAE's posterior for pixels [B, 3, H, W] in 0..1, each after
    `scaled`, which is affine. The deviation is zero where a VAE has none.
    """
    # One by one: a VAE for videos takes several pictures for the frames of one.
    encoded = [_mean_and_shifted(vae, picture) for picture in pixels.movedim(1, -1).split(1)]
    mean, shifted = (scaled(torch.cat(latents)) for latents in zip(*encoded, strict=True))
    return mean, (shifted - mean).abs()


def decoded(vae: Any, latents: Tensor) -> Tensor:
    """Pixels [B, 3, H, W] in 0..1 on the CPU, for latents as the host's sampler returns them."""
    images = vae.decode(latents)
    return images.reshape(-1, *images.shape[-3:]).movedim(-1, 1).cpu().float()


def _mean_and_shifted(vae: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of a picture's posterior, and the latents that lie one standard deviation above it; [1, C, h, w]."""
    mean, found = _encoded(vae, image, 0.0)
    shifted = _encoded(vae, image, 1.0)[0] if found else mean
    return _without_frames(mean), _without_frames(shifted)


def _without_frames(latents: Tensor) -> Tensor:
    """Latents of one frame [B, C, h, w], from a VAE with an axis of frames [B, C, 1, h, w] or without."""
    return latents[:, :, 0] if latents.ndim == 5 else latents


def _encoded(vae: Any, image: Tensor, deviations: float) -> tuple[Tensor, bool]:
    """The latents that lie so many standard deviations above the mean, and whether the VAE has a deviation.

    The host samples the posterior with a generator of its own; a hook on the module that does so returns this instead.
    """
    found = False

    def hook(module: Any, inputs: tuple[Tensor, ...], output: Any) -> Any:
        nonlocal found
        sampled = output[0] if isinstance(output, tuple) else output
        if inputs[0].shape[1] != 2 * sampled.shape[1]:
            return output
        found = True
        mean, log_variance = inputs[0].chunk(2, dim=1)
        value = mean + deviations * (0.5 * log_variance.clamp(-30, 20)).exp()
        return (value, *output[1:]) if isinstance(output, tuple) else value

    regularization = getattr(vae.first_stage_model, "regularization", None)
    handle = None if regularization is None else regularization.register_forward_hook(hook)
    try:
        with torch.inference_mode():
            latents = vae.encode(image)
    finally:
        if handle is not None:
            handle.remove()
    # A copy made outside inference mode is an ordinary tensor.
    return latents.clone().float(), found
