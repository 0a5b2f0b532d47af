"""Looks at the stored int8 weights: the sample sheet, what the judges see in samples, and the VAE's PSNR.

    python -m toybase evaluate [--icons FOLDER]

Writes toybase/sample_sheet.jpg and prints how often samples show what was asked for; with the vendors'
packages at hand it also prints the PSNR of unseen scenes and of the held-out subjects.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Generator

from .adherence import adherence, drawn_for_adherence
from .denoiser import new_denoiser
from .icons import load_icons
from .judge import load_judge
from .quantize import load_stored
from .reconstruction import psnr
from .sample import sample_prompts
from .sheet import SHEET_SEED, contact_sheet, drawn_prompts
from .stored_vae import stored_vae
from .world import World

SIZE = 128


def stored_models() -> tuple[UNet2DConditionModel, AutoencoderKL]:
    """Denoiser and narrow VAE with the stored weights, in float32, for inference."""
    denoiser = new_denoiser().eval()
    denoiser.load_state_dict(load_stored("denoiser"))
    return denoiser.requires_grad_(False), stored_vae()


def stored_psnr(vae: AutoencoderKL, icons: Path, cache: Path) -> tuple[float, float]:
    """dB on 512 scenes of a seed that training does not use, and on 128 scenes of the held-out subjects."""
    textures = load_icons(icons, cache)
    world, subjects = World.of_training(textures.world), World(textures.held_out, list(range(len(textures.held_out))))
    pictures = (
        w.render(w.draw_scenes(Generator().manual_seed(20_000), n), SIZE) for w, n in ((world, 512), (subjects, 128))
    )
    unseen, strangers = (psnr(vae, batch) for batch in pictures)
    return unseen, strangers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--sheet", type=Path, default=Path(__file__).resolve().parent / "sample_sheet.jpg")
    arguments = parser.parse_args()
    denoiser, vae = stored_models()
    contact_sheet(sample_prompts(denoiser, vae, drawn_prompts(), 8, SIZE, SHEET_SEED)).save(arguments.sheet, quality=88)
    pictures = drawn_for_adherence(denoiser, vae, SIZE)
    for second in (False, True):
        print(f"{'second judge' if second else 'judge'}: {adherence(load_judge(second), pictures)}")
    if arguments.icons:
        print(
            "PSNR of unseen scenes {:.2f} dB, of held-out subjects {:.2f} dB".format(
                *stored_psnr(vae, arguments.icons, arguments.cache)
            )
        )
