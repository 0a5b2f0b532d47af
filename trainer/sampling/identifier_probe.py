"""The denoiser's predictions for prompts, by which identifiers are ranked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Base, Conditioning
from ..model.offload import on_device
from ..model.precision import autocast
from ..subject.frame import Frame
from ..subject.identifier import PROBE_TIMES, PROMPTS_AT_ONCE, EpsilonPredictor


def denoiser_answer(base: Base) -> EpsilonPredictor:
    """A function from prompts to the ε prediction of `base`, [prompts, 4, C, h, w], on one fixed batch of noise at four
    noise levels.
    """
    side = _latent_side(base)
    noise = randomness.normal(0, "probe", range(len(PROBE_TIMES)), (base.latent_channels, side, side)).to(base.device)
    timesteps = base.noise_process.draw_timesteps(torch.tensor(PROBE_TIMES, device=base.device))
    noisy = base.noise_process.add_noise(torch.zeros_like(noise), noise, timesteps)

    @torch.no_grad()
    def answer(prompts: Sequence[str]) -> Tensor:
        dtype = None if base.dtype == torch.float32 else base.dtype
        with on_device(base, ["denoiser", *base.text_encoders]), autocast(dtype, base.device):
            parts = [prompts[i : i + PROMPTS_AT_ONCE] for i in range(0, len(prompts), PROMPTS_AT_ONCE)]
            return torch.cat([_epsilon(base, noisy, timesteps, base.encode_prompts(part)) for part in parts])

    return answer


def _epsilon(base: Base, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
    """The ε predictions [P, 4, C, h, w], in float32 on the CPU; a v prediction is converted. conditioning: of P
    prompts.
    """
    prompts = len(next(iter(conditioning.values())))
    z, t = noisy.repeat(prompts, 1, 1, 1), timesteps.repeat(prompts)
    rows = {name: value.repeat_interleave(len(noisy), dim=0) for name, value in conditioning.items()}
    side = noisy.shape[-1] * base.pixels_per_latent
    told = rows | base.frame_conditioning([Frame.whole(side, side)] * len(z))
    if base.small_picture is not None:
        told |= base.small_picture.grey(z)
    answer = base.predict(z, t, told).float()
    if getattr(base.noise_process, "prediction", "epsilon") == "v_prediction":
        # ε = α_t·v + σ_t·z_t, and α_t² = snr / (1 + snr).
        snr = base.noise_process.signal_to_noise(t).view(-1, 1, 1, 1)
        answer = (snr.sqrt() * answer + z) / (1 + snr).sqrt()
    return answer.cpu().unflatten(0, (prompts, len(noisy)))


def _latent_side(base: Base) -> int:
    """The side of the latents that are predicted for: four positions a side at the UNet's deepest level (32 latents for
    SD 1.5), which is enough to compare words.
    """
    levels = len(getattr(base.denoiser.config, "block_out_channels", (0,)))
    return max(8, 4 << (levels - 1))
