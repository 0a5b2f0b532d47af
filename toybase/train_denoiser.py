"""Train the denoiser on latents of the world's scenes.

    python -m toybase train_denoiser --icons FOLDER --cache icons.npz --out runs --minutes 60
    torchrun --nproc-per-node 2 -m toybase train_denoiser ...   (two workers share each batch)

Runs on a GPU if there is one. Needs `runs/vae.safetensors`; restarts from `runs/denoiser.safetensors`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .denoiser import SCHEDULE, new_denoiser
from .icons import load_icons
from .latent_bank import LatentBank
from .narrow_vae import new_vae
from .sample import sample_prompts
from .sheet import PROMPTS, contact_sheet
from .text_encoder import short_context, short_ids, short_mask
from .training import Average, Clock, rank, resume, save_weights, share, training_autocast, workers
from .world import World

EMPTY_CAPTIONS = 0.10
MIN_SNR = 5.0


def min_snr_weight(alphas_cumprod: Tensor, timestep: Tensor) -> Tensor:
    """min(SNR, 5) / SNR, the weight of the epsilon loss (Hang et al. 2023); [B]."""
    snr = alphas_cumprod[timestep] / (1 - alphas_cumprod[timestep])
    return snr.clamp(max=MIN_SNR) / snr


def denoising_loss(model: nn.Module, latents: Tensor, ids: Tensor, schedule: DDPMScheduler) -> Tensor:
    """Weighted |eps - model(alpha z + sigma eps, t, context)|^2, some captions emptied."""
    count, device = len(latents), latents.device
    empty = torch.tensor(short_ids(""), device=device)
    ids = torch.where(torch.rand(count, 1, device=device) < EMPTY_CAPTIONS, empty, ids)
    # stratified timesteps: every batch covers the whole schedule, which lowers the gradient's variance
    timestep = ((torch.arange(count, device=device) + torch.rand(count, device=device)) / count * 1000).long()
    noise = torch.randn_like(latents)
    noisy = schedule.add_noise(latents, noise, timestep)
    with training_autocast(device):
        output = model(
            noisy, timestep, short_context(ids), encoder_attention_mask=short_mask(count, device), return_dict=False
        )[0]
    error = (output.float() - noise).square().mean((1, 2, 3))
    return (error * min_snr_weight(schedule.alphas_cumprod.to(device), timestep)).mean()


class DenoiserTraining:
    """The denoiser, its optimizer, its averaged weights and the latents it learns from."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bank = _bank(arguments, self.device)
        self.model = new_denoiser(arguments.size // 8).to(self.device)
        self.resumed = resume(self.model, arguments.out / "denoiser.safetensors")
        if arguments.compile:
            self.model.compile()
        self.live: nn.Module = share(self.model) if workers() > 1 else self.model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=0.01, fused=True, betas=(0.9, 0.99))
        self.schedule, self.average = DDPMScheduler(**SCHEDULE), Average(self.model, 0.998, self.resumed)
        # the fused attention kernel for CPUs is slow at 64 positions
        self.attention = [SDPBackend.MATH] if self.device == "cpu" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]

    def step(self, count: int, learning_rate: float) -> float:
        """One optimizer step on `count` latents, a quarter of them new; the loss."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        latents, ids = self.bank.batch(count, count // 4)
        with sdpa_kernel(self.attention):
            loss = denoising_loss(self.live, latents, ids, self.schedule)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.model)
        return float(loss.detach())


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes; writes denoiser.safetensors (averaged weights) and sheets."""
    torch.manual_seed(arguments.seed + 1000 * rank())
    torch.set_num_threads(arguments.threads)
    # one graph for the whole denoiser; splitting it at gradient buckets gains nothing between two cores
    torch._dynamo.config.optimize_ddp = False
    training, clock, report = DenoiserTraining(arguments), Clock(arguments.minutes), _Report(arguments)
    peak = arguments.learning_rate * (arguments.resume_factor if training.resumed else 1)
    while not clock.over:
        clock.tick()
        loss = training.step(arguments.batch // workers(), clock.learning_rate(peak))
        report.step(loss, clock, training.average, training.bank)


def _bank(arguments: argparse.Namespace, device: str) -> LatentBank:
    vae = new_vae().to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    if not resume(vae, arguments.out / "vae.safetensors"):
        raise FileNotFoundError(f"no vae.safetensors in {arguments.out}: run toybase.train_vae first")
    world = World.of_training(load_icons(arguments.icons, arguments.cache).world, device)
    return LatentBank(world, vae, arguments.size, arguments.seed + 7919 * (rank() + 1))


class _Report:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.steps, self.losses = arguments, 0, [0.0]
        self.next_save, self.next_sheet = 60.0, arguments.sheet_minutes * 60

    def step(self, loss: float, clock: Clock, average: Average, bank: LatentBank) -> None:
        """Every minute (and at the end) a line and the weights, now and then a sheet."""
        self.steps += 1
        self.losses.append(loss)
        if rank() or not (clock.spent > self.next_save or clock.over):
            return
        self.next_save = clock.spent + 60
        recent = sum(self.losses[-200:]) / len(self.losses[-200:])
        images = self.steps * self.arguments.batch
        print(f"denoiser {clock.spent:.0f} s step {self.steps} images {images} loss {recent:.4f}", flush=True)
        save_weights(average.weights, self.arguments.out / "denoiser.safetensors")
        if clock.spent > self.next_sheet or clock.over:
            self.next_sheet = clock.spent + self.arguments.sheet_minutes * 60
            model = new_denoiser(self.arguments.size // 8).to(bank.world.device).eval()
            model.load_state_dict(average.weights)
            rows = sample_prompts(model, bank.vae, PROMPTS, 8, self.arguments.size)
            contact_sheet(rows).save(self.arguments.out / "samples.jpg", quality=88)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--resume-factor", type=float, default=0.6, help="peak learning rate of a restart, as a share")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet-minutes", type=float, default=10)
    parser.add_argument("--compile", action="store_true", help="a sixth faster after two minutes")
    train(parser.parse_args())
