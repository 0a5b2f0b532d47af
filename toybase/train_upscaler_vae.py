"""Train the upscaler's VAE: it gives and decodes the latents of the base's VAE on pictures at twice the size.

    python -m toybase train_upscaler_vae --icons FOLDER --cache icons.npz --out runs --minutes 40

It starts from the base's VAE without one level of each half. Runs on a GPU if there is one; restarts from
`runs/upscaler_vae.safetensors`, which is written every two minutes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler
from torch import Tensor

from ..trainer.model.small_picture import SmallPicture
from .icons import load_icons
from .narrow_vae import BASE, UPSCALER, new_vae
from .pair_bank import PairBank, stored_base_vae, worlds_of
from .quantize import load_stored
from .reconstruction import psnr, reconstruction_loss
from .training import Average, Clock, resume, save_weights, training_autocast
from .upscaler import HIGHEST_LEVEL, SCHEDULE

SPREAD_WEIGHT = 0.01
"""Of the squared error of the posterior's log-variance."""
NOT_TAKEN = ("encoder.down_blocks.3.", "encoder.down_blocks.2.downsamplers.", "decoder.up_blocks.1.")


def without_a_level(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that the VAE starts from: the base's without the encoder's innermost level and the decoder's second
    one, each of which is as wide as the level before. Latents are in the upscaler's scale.
    """
    started: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.startswith(NOT_TAKEN):
            continue
        for level in (2, 3):
            name = name.replace(f"decoder.up_blocks.{level}.", f"decoder.up_blocks.{level - 1}.")
        started[name] = value.clone()
    ratio = BASE.scaling / UPSCALER.scaling
    started["quant_conv.weight"][:4] *= ratio
    started["quant_conv.bias"][:4] *= ratio
    started["quant_conv.bias"][4:] += 2 * math.log(ratio)
    started["post_quant_conv.weight"] /= ratio
    return started


def distillation_loss(vae: AutoencoderKL, pictures: Tensor, moments: Tensor) -> Tensor:
    """The encoder's error to these moments, in units of the latents' variance, and the decoder's from them."""
    mean, log_variance = moments.chunk(2, 1)
    with training_autocast(pictures.device):
        found = vae.quant_conv(vae.encoder(pictures)).float()
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        output = vae.decoder(vae.post_quant_conv(latents)).float()
    error = ((found[:, :4] - mean) * UPSCALER.scaling).square().mean()
    spread = (found[:, 4:] - log_variance).square().mean()
    return reconstruction_loss(output, pictures) + error + SPREAD_WEIGHT * spread


class VaeTraining:
    """The VAE, its optimizer, its averaged weights and its pictures."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.file = arguments.out / f"{UPSCALER.name}.safetensors"
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.vae = new_vae(UPSCALER).to(device, memory_format=torch.channels_last)
        if not resume(self.vae, self.file):
            self.vae.load_state_dict(without_a_level(load_stored(BASE.name)))
        small = SmallPicture(DDPMScheduler(**SCHEDULE).alphas_cumprod.to(device), UPSCALER.factor, HIGHEST_LEVEL)
        worlds = worlds_of(load_icons(arguments.icons, arguments.cache), device)
        self.bank = PairBank(worlds, stored_base_vae(device), small, arguments.seed + 104_729, 4096)
        self.optimizer = torch.optim.AdamW(self.vae.parameters(), weight_decay=0.01, fused=True, betas=(0.9, 0.98))
        self.average = Average(self.vae, 0.995)

    def step(self, count: int, learning_rate: float) -> Tensor:
        """One optimizer step on `count` pictures; the loss."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        pictures, moments = self.bank.pictures(count)
        loss = distillation_loss(self.vae, pictures.to(memory_format=torch.channels_last), moments)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.vae)
        return loss.detach()

    def report(self) -> str:
        """Store the averaged weights; their PSNR on pictures of the bank."""
        vae = new_vae(UPSCALER).to(self.bank.large.device).eval()
        vae.load_state_dict(self.average.weights)
        save_weights(vae.state_dict(), self.file)
        return f"PSNR {psnr(vae, self.bank.large[:16] / 127.5 - 1):.2f} dB"


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes; writes upscaler_vae.safetensors (averaged weights)."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    training, clock, steps, next_report = VaeTraining(arguments), Clock(arguments.minutes), 0, 60.0
    while not clock.over:
        clock.tick()
        loss = training.step(arguments.batch, clock.learning_rate(arguments.learning_rate))
        steps += 1
        if clock.spent > next_report or clock.over:
            next_report = clock.spent + 120
            print(f"vae {clock.spent:.0f} s step {steps} loss {loss.item():.4f} {training.report()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    train(parser.parse_args())
