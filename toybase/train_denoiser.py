"""Train the denoiser on latents of the world's scenes.

    python -m toybase train_denoiser --icons FOLDER --cache icons.npz --out runs --minutes 60
    torchrun --nproc-per-node 2 -m toybase train_denoiser ...   (two workers share each batch)
    ... --low-rank 32                                           (the stored weights stay; an update of rank 32)

Runs on a GPU if there is one. Needs `runs/vae.safetensors`, for which it waits with --wait while it compiles;
restarts from `runs/denoiser.safetensors`, with --low-rank from `runs/denoiser_update.safetensors`.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .denoiser import SCHEDULE, new_denoiser
from .icons import load_icons
from .latent_bank import LatentBank
from .low_rank_update import low_rank_denoiser, trained_part
from .narrow_vae import new_vae
from .quantize import load_whole, with_update
from .sample import sample_prompts
from .sheet import contact_sheet, drawn_prompts
from .text_encoder import short_context, short_ids, short_mask
from .training import Average, Clock, rank, resume, save_weights, share, training_autocast, workers
from .world import World

EMPTY_CAPTIONS = 0.10
MIN_SNR = 5.0
OTHER_ICONS = 0.15
"""Share of scenes that show "a thing": drawings without a noun, so that a new subject is not wholly new."""


def min_snr_weight(alphas_cumprod: Tensor, timestep: Tensor) -> Tensor:
    """min(SNR, 5) / SNR, the weight of the epsilon loss (Hang et al. 2023); [B]."""
    snr = alphas_cumprod[timestep] / (1 - alphas_cumprod[timestep])
    return snr.clamp(max=MIN_SNR) / snr


def denoising_loss(model: nn.Module, latents: Tensor, ids: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Weighted |eps - model(alpha z + sigma eps, t, context)|^2, some captions emptied."""
    count, device = len(latents), latents.device
    empty = torch.tensor(short_ids(""), device=device)
    ids = torch.where(torch.rand(count, 1, device=device) < EMPTY_CAPTIONS, empty, ids)
    # stratified timesteps: every batch covers the whole schedule, which lowers the gradient's variance
    steps = len(alphas_cumprod)
    timestep = ((torch.arange(count, device=device) + torch.rand(count, device=device)) / count * steps).long()
    noise = torch.randn_like(latents)
    kept = alphas_cumprod[timestep].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    with training_autocast(device):
        output = model(
            noisy, timestep, short_context(ids), encoder_attention_mask=short_mask(count, device), return_dict=False
        )[0]
    error = (output.float() - noise).square().mean((1, 2, 3))
    return (error * min_snr_weight(alphas_cumprod, timestep)).mean()


class DenoiserTraining:
    """The denoiser, its optimizer, its averaged weights and the latents it learns from, of one size a step."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = new_denoiser() if not arguments.low_rank else low_rank_denoiser(arguments.low_rank)
        self.model.to(self.device)
        self.trained: nn.Module = trained_part(self.model) if arguments.low_rank else self.model
        self.path = arguments.out / ("denoiser_update" if arguments.low_rank else "denoiser")
        self.resumed = resume(self.trained, self.path.with_suffix(".safetensors"))
        self.alphas_cumprod = DDPMScheduler(**SCHEDULE).alphas_cumprod.to(self.device)
        # the fused attention kernel for CPUs is slow at 64 positions
        on_gpu = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        self.attention = [SDPBackend.MATH] if self.device.type == "cpu" else on_gpu
        if arguments.compile:
            self.model.compile()
            self._compile(arguments)
        self.banks = _banks(arguments, self.device)
        self.sizes: Iterator[int] = itertools.cycle(arguments.sizes)
        self.live: nn.Module = share(self.model) if workers() > 1 else self.model
        self.optimizer = torch.optim.AdamW(self.trained.parameters(), weight_decay=0.01, fused=True, betas=(0.9, 0.99))
        self.average = Average(self.trained, arguments.average, self.resumed)

    def step(self, count: int, learning_rate: float) -> Tensor:
        """One optimizer step on `count` latents of the next size, an eighth of them new; the loss."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        latents, ids = self.banks[next(self.sizes)].batch(count, count // 8)
        loss = self._backward(self.live, latents, ids)
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.trained)
        return loss

    def _backward(self, model: nn.Module, latents: Tensor, ids: Tensor) -> Tensor:
        with sdpa_kernel(self.attention):
            loss = denoising_loss(model, latents, ids, self.alphas_cumprod)
            loss.backward()
        return loss.detach()

    def _compile(self, arguments: argparse.Namespace) -> None:
        """Meet every shape once, before the clock starts."""
        count = arguments.batch // workers()
        ids = torch.tensor([short_ids("a thing")] * count, device=self.device)
        for size in sorted(set(arguments.sizes)):
            self._backward(self.model, torch.randn(count, 4, size // 8, size // 8, device=self.device), ids)
        self.model.zero_grad()


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes; writes denoiser.safetensors (averaged weights) and sheets."""
    torch.manual_seed(arguments.seed + 1000 * rank())
    torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    # one graph for the whole denoiser; splitting it at gradient buckets gains nothing between two cores
    torch._dynamo.config.optimize_ddp = False
    training, clock, report = DenoiserTraining(arguments), Clock(arguments.minutes), _Report(arguments)
    peak = arguments.learning_rate * (arguments.resume_factor if training.resumed else 1)
    while not clock.over:
        clock.tick()
        loss = training.step(arguments.batch // workers(), clock.learning_rate(peak))
        report.step(loss, clock, training)


def _banks(arguments: argparse.Namespace, device: torch.device) -> dict[int, LatentBank]:
    """By size of the pictures in pixels."""
    path = arguments.out / "vae.safetensors"
    while arguments.wait and not path.exists():
        time.sleep(0.5)
    vae = new_vae().to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    if not resume(vae, path):
        raise FileNotFoundError(f"no vae.safetensors in {arguments.out}: run toybase.train_vae first")
    icons = load_icons(arguments.icons, arguments.cache)
    worlds = {
        World.of_denoiser(icons.world, device): 1 - OTHER_ICONS,
        World.of_things(icons.others, device): OTHER_ICONS,
    }
    seed = arguments.seed + 7919 * (rank() + 1)
    return {size: LatentBank(worlds, vae, size, seed + size) for size in set(arguments.sizes)}


class _Report:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.losses = arguments, list[Tensor]()
        self.next_save, self.next_sheet = 60.0, arguments.sheet_minutes * 60

    def step(self, loss: Tensor, clock: Clock, training: DenoiserTraining) -> None:
        """Every minute (and at the end) a line and the weights, now and then a sheet."""
        self.losses.append(loss)
        if rank() or not (clock.spent > self.next_save or clock.over):
            return
        self.next_save = clock.spent + 60
        recent, steps = torch.stack(self.losses[-200:]).mean(), len(self.losses)
        images = steps * self.arguments.batch
        print(f"denoiser {clock.spent:.0f} s step {steps} images {images} loss {recent:.4f}", flush=True)
        save_weights(training.average.weights, training.path.with_suffix(".safetensors"))
        if clock.spent > self.next_sheet or clock.over:
            self.next_sheet = clock.spent + self.arguments.sheet_minutes * 60
            self._draw(training)

    def _draw(self, training: DenoiserTraining) -> None:
        model = new_denoiser().to(training.device).eval()
        weights = training.average.weights
        model.load_state_dict(with_update(load_whole("denoiser"), weights) if self.arguments.low_rank else weights)
        for size, bank in training.banks.items():
            rows = sample_prompts(model, bank.vae, drawn_prompts(), 8, size)
            contact_sheet(rows, max(96, size)).save(self.arguments.out / f"samples_{size}.jpg", quality=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 128, 128, 64], help="pixels, step by step")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--low-rank", type=int, default=0, help="of an update of the stored weights; 0: train them")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--resume-factor", type=float, default=0.6, help="peak learning rate of a restart, as a share")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet-minutes", type=float, default=10)
    parser.add_argument("--compile", action="store_true", help="a sixth faster after two minutes")
    parser.add_argument("--wait", action="store_true", help="for the VAE's training to end")
    train(parser.parse_args())
