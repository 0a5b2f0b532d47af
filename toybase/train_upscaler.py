"""Train the upscaler on pairs of the world's scenes, 32 and 128 pixels a side.

    python -m toybase train_upscaler --icons FOLDER --cache icons.npz --out runs --minutes 45

Its latents are the stored VAE's of pictures at twice the size, so that it and the upscaler's own VAE
(train_upscaler_vae) are trained side by side. Runs on a GPU if there is one; restarts from `runs/upscaler.safetensors`,
which is written every minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from ..trainer.model.noise_process import Diffusion
from ..trainer.model.small_picture import SmallPicture
from .icons import load_icons
from .narrow_vae import UPSCALER as VAE
from .pair_bank import PairBank, stored_base_vae, worlds_of
from .text_encoder import UPSCALER, short_context, short_ids, short_mask
from .training import Average, Clock, resume, save_weights, training_autocast
from .upscaler import HIGHEST_LEVEL, SCHEDULE, in_training

EMPTY_CAPTIONS = 0.10
"""Share of captions that are emptied, for guidance."""


def upscaling_loss(
    model: nn.Module, latents: Tensor, small: Tensor, ids: Tensor, process: Diffusion, shown: SmallPicture
) -> Tensor:
    """|v - model(alpha z + sigma eps, t, noisy small picture, level, context)|^2; low levels are drawn more often."""
    count, device = len(latents), latents.device
    empty = torch.tensor(short_ids("", UPSCALER), device=device)
    ids = torch.where(torch.rand(count, 1, device=device) < EMPTY_CAPTIONS, empty, ids)
    # stratified timesteps: every batch covers the whole schedule, which lowers the gradient's variance
    uniform = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count
    timesteps, noise = process.draw_timesteps(uniform), torch.randn_like(latents)
    levels = (torch.rand(count, device=device).square() * (HIGHEST_LEVEL + 1)).long()
    told = shown.shown(small, torch.randn_like(small), levels)
    noisy = torch.cat([process.add_noise(latents, noise, timesteps), told["picture"]], 1)
    with training_autocast(device):
        answer = model(
            noisy.to(memory_format=torch.channels_last),
            timesteps,
            short_context(ids, UPSCALER),
            class_labels=levels,
            encoder_attention_mask=short_mask(count, device),
            return_dict=False,
        )[0]
    return (answer.float() - process.target(latents, noise, timesteps)).square().mean()


class UpscalerTraining:
    """The upscaler, its optimizer, its averaged weights and its pairs."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        kept = DDPMScheduler(**SCHEDULE).alphas_cumprod.to(device)
        self.process = Diffusion(kept, "v_prediction")
        self.shown = SmallPicture(kept, VAE.factor, HIGHEST_LEVEL)
        self.model = in_training().to(device, memory_format=torch.channels_last)
        self.resumed = resume(self.model, arguments.out / "upscaler.safetensors")
        self.bank = _bank(arguments, self.shown, device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=0.01, fused=True, betas=(0.9, 0.99))
        self.average = Average(self.model, arguments.average)

    def step(self, count: int, learning_rate: float) -> Tensor:
        """One optimizer step on `count` pairs; the loss."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        loss = upscaling_loss(self.model, *self.bank.batch(count), self.process, self.shown)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model)
        return loss.detach()


def _bank(arguments: argparse.Namespace, shown: SmallPicture, device: torch.device) -> PairBank:
    worlds = worlds_of(load_icons(arguments.icons, arguments.cache), device)
    return PairBank(worlds, stored_base_vae(device), shown, arguments.seed + 7919, 12_800)


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes; writes upscaler.safetensors (averaged weights) every minute and at the end."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    training, clock = UpscalerTraining(arguments), Clock(arguments.minutes)
    peak = arguments.learning_rate * (0.6 if training.resumed else 1)
    losses, next_save = list[Tensor](), 60.0
    while not clock.over:
        clock.tick()
        losses.append(training.step(arguments.batch, clock.learning_rate(peak)))
        if clock.spent > next_save or clock.over:
            next_save = clock.spent + 60
            recent = torch.stack(losses[-100:]).mean()
            print(f"upscaler {clock.spent:.0f} s step {len(losses)} loss {recent:.4f}", flush=True)
            save_weights(training.average.weights, arguments.out / "upscaler.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    train(parser.parse_args())
