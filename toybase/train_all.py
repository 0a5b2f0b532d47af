"""Make the embedded base and its judges anew, one after the other, in a given time: best on a GPU.

    python -m toybase train_all --icons FOLDER --cache icons.npz --out runs --minutes 9 --batch 256

The denoiser compiles while the VAE trains. What ends in `runs/weights` is what is stored in toybase/weights.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from .judge_networks import ARCHITECTURES
from .quantize import WEIGHTS, store

ROOT = Path(__file__).resolve().parent.parent
SHARES = {"train_vae": 0.25, "train_denoiser": 0.60, "train_judge": 0.15}
"""Of the time; the judges train side by side."""


def start(script: str, arguments: argparse.Namespace, *words: str | float) -> subprocess.Popen[bytes]:
    """A training script of this folder, with its share of the time."""
    told = ["--icons", arguments.icons, "--cache", arguments.cache, "--minutes", arguments.minutes * SHARES[script]]
    command = [sys.executable, "-m", "toybase", script, *told, *words]
    return subprocess.Popen([str(word) for word in command], cwd=ROOT)


def ended(*processes: subprocess.Popen[bytes]) -> None:
    """Wait for all of them. Raises CalledProcessError where one failed."""
    for process in processes:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)


def train(arguments: argparse.Namespace) -> None:
    """Writes vae, denoiser and sheets into `out`, and what is stored into `out`/weights."""
    out, sizes = arguments.out.resolve(), ["--sizes", *map(str, arguments.sizes)]
    denoiser = start(
        "train_denoiser", arguments, "--out", out, *sizes, "--batch", arguments.batch, "--compile", "--wait",
        "--learning-rate", arguments.learning_rate,
    )  # fmt: skip
    try:
        ended(start("train_vae", arguments, "--out", out / "vae", *sizes, "--batch", arguments.batch // 4))
        # the denoiser waits for this name: it is there when the VAE is done
        (out / "vae" / "vae.safetensors").replace(out / "vae.safetensors")
        ended(denoiser)
    finally:
        denoiser.kill()
    weights = out / WEIGHTS.name
    judges = [
        start("train_judge", arguments, "--out", weights, "--groups", arguments.batch // 5, "--architecture", name,
              "--seed", seed)
        for seed, name in enumerate(ARCHITECTURES)
    ]  # fmt: skip
    ended(*judges)
    print(f"{store(out, weights) / 1e6:.1f} MB in {weights}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 128, 128, 64], help="pixels, step by step")
    parser.add_argument("--batch", type=int, default=256, help="of the denoiser; the others' follow")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of the denoiser")
    train(parser.parse_args())
