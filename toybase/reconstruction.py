"""What the VAE is trained for, and the PSNR it is judged by."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

KL_WEIGHT = 1e-4


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + MSE + L1 of the neighbour differences: the last keeps outlines sharp."""
    across = F.l1_loss(output.diff(dim=-1), target.diff(dim=-1)) + F.l1_loss(output.diff(dim=-2), target.diff(dim=-2))
    return F.l1_loss(output, target) + F.mse_loss(output, target) + 0.5 * across


def vae_loss(vae: AutoencoderKL, batch: Tensor, noise: Tensor, unit: float) -> Tensor:
    """Reconstruction and a light KL; `unit` scales latents to a std near 1."""
    mean, log_variance = vae.quant_conv(vae.encoder(batch)).float().clamp(-30, 30).chunk(2, 1)
    output = vae.decoder(vae.post_quant_conv(mean + noise * (log_variance / 2).exp()))
    variance = log_variance.exp() * unit**2
    kl = 0.5 * ((mean * unit).square() + variance - 1 - variance.clamp(min=1e-12).log()).mean()
    return reconstruction_loss(output.float(), batch) + KL_WEIGHT * kl


class VaeObjective(nn.Module):
    """`vae_loss` as a module, which is what several workers can share."""

    def __init__(self, vae: AutoencoderKL, compiled: bool) -> None:
        super().__init__()
        self.vae = vae
        self.loss = torch.compile(vae_loss) if compiled else vae_loss

    def forward(self, batch: Tensor, noise: Tensor, unit: float) -> Tensor:
        """The loss of pictures [B, 3, S, S]."""
        loss: Tensor = self.loss(self.vae, batch, noise, unit)
        return loss


def psnr(vae: AutoencoderKL, pictures: Tensor) -> float:
    """Mean PSNR in dB of encode-decode, pictures [B, 3, S, S] in -1 to 1 (peak 2)."""
    with torch.no_grad():
        output = torch.cat([vae.decode(vae.encode(p).latent_dist.mode()).sample for p in pictures.split(32)])
    error = (output.clamp(-1, 1) - pictures).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())
