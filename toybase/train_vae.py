"""Train the narrow VAE on scenes of the world and of many other icons.

    python -m toybase train_vae --icons FOLDER --cache icons.npz --out runs --minutes 30 [--decoder-only]
    torchrun --nproc-per-node 2 -m toybase train_vae ...   (two workers, each with batches of its own)

Runs on a GPU if there is one. Restarts from `runs/vae.safetensors`; run with --decoder-only, the latents
stay what they are and the denoiser's training remains valid.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor, nn

from .icons import Icons, load_icons
from .narrow_vae import SCALING, fold_statistics, new_vae
from .reconstruction import VaeObjective, psnr
from .sheet import save_pairs
from .training import Average, Clock, rank, resume, save_weights, share, training_autocast, workers
from .world import World

OTHER_ICONS = 0.15
"""Share of pictures that show an icon the world does not know, so that new subjects encode well."""


class Pictures:
    """Endless batches of scenes [B, 3, S, S], rendered some hundred at a time."""

    def __init__(self, icons: Icons, device: str, sizes: Sequence[int], seed: int) -> None:
        self.world, self.others = World.of_training(icons.world, device), World.of_things(icons.others, device)
        self.sizes, self.generator = itertools.cycle(sizes), Generator().manual_seed(seed)

    def batch(self, count: int) -> Tensor:
        """The next pictures, -1 to 1, all of the next size."""
        few, size = round(count * OTHER_ICONS), next(self.sizes)
        parts = [(self.world, count - few), (self.others, few)]
        pictures = torch.cat([w.render(w.draw_scenes(self.generator, n), size) for w, n in parts])
        return pictures[torch.randperm(count, generator=self.generator).to(pictures.device)]


class VaeTraining:
    """The VAE, its optimizer and its data; `decoder_only` leaves the latents what they are."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.out, self.size, self.decoder_only = arguments.out, max(arguments.sizes), arguments.decoder_only
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.icons = load_icons(arguments.icons, arguments.cache)
        self.pictures = Pictures(self.icons, self.device, arguments.sizes, arguments.seed + rank())
        self.vae = self._new()
        self.resumed = resume(self.vae, self.out / "vae.safetensors")
        if self.decoder_only:
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)
        trained = [parameter for parameter in self.vae.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, weight_decay=0.01, fused=True, betas=(0.9, 0.98))
        self.average = Average(self.vae, 0.998, self.resumed)
        objective: nn.Module = VaeObjective(self.vae, arguments.compile)
        self.objective = share(objective) if workers() > 1 else objective

    def _new(self) -> AutoencoderKL:
        return new_vae().to(self.device, memory_format=torch.channels_last)

    def step(self, batch: Tensor, learning_rate: float) -> Tensor:
        """One optimizer step on pictures [B, 3, S, S]; the loss."""
        self.optimizer.param_groups[0]["lr"] = learning_rate
        side = batch.shape[-1] // 8
        noise = torch.randn(len(batch), 4, side, side, device=self.device)
        # stored latents have a std of 1 / SCALING, new ones of 1
        with training_autocast(batch.device):
            loss: Tensor = self.objective(batch, noise, SCALING if self.resumed else 1.0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.vae)
        return loss.detach()

    def report(self) -> str:
        """Store the averaged weights and a sheet; PSNR on unseen scenes and on the held-out subjects."""
        vae = self._new().eval()
        vae.load_state_dict(self.average.weights)
        subjects = World.of_things(self.icons.held_out, self.device)
        scenes, strangers = (
            world.render(world.draw_scenes(Generator().manual_seed(seed), count), self.size)
            for world, seed, count in ((self.pictures.world, 999, 96), (subjects, 998, 48))
        )
        if not self.decoder_only:
            with torch.no_grad():
                latents = vae.encode(scenes).latent_dist.mode()
            fold_statistics(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
        save_weights(vae.state_dict(), self.out / "vae.safetensors")
        save_pairs(vae, torch.cat([scenes[:24], strangers[:24]]), self.out / "vae.png")
        return f"PSNR of unseen scenes {psnr(vae, scenes):.2f} dB, of unseen subjects {psnr(vae, strangers):.2f} dB"


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes; writes vae.safetensors (latents in SD's convention) and a sheet."""
    torch.manual_seed(arguments.seed + 1000 * rank())
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True
    training, clock, step, next_report = VaeTraining(arguments), Clock(arguments.minutes), 0, 60.0
    peak = arguments.learning_rate * (0.5 if training.resumed else 1)
    while not clock.over:
        pictures = training.pictures.batch(256).to(memory_format=torch.channels_last)
        for batch in torch.cat([pictures, pictures.flip(3)]).split(arguments.batch):
            loss = training.step(batch, clock.learning_rate(peak))
            step += 1
        clock.tick()
        if clock.spent > next_report or clock.over:
            next_report = clock.spent + 120
            if rank():
                continue
            report = training.report()
            print(f"vae {clock.spent:.0f} s step {step} loss {loss.item():.4f} {report}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128], help="of the pictures, in turn")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--decoder-only", action="store_true")
    train(parser.parse_args())
