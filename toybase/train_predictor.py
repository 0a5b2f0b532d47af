"""Train InstantBooth's predictor for the embedded base, on scenes of many subjects.

    python -m toybase train_predictor --icons FOLDER --cache icons.npz --out runs --steps 20000

First the concept encoder alone (drawing_objective.py), then encoder and adapters by the denoising loss. Goes on from
runs/encoder.state and runs/predictor.state; writes runs/predictor.safetensors, and prints how much better held-out
subjects are denoised.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..trainer.events import Step, Warned
from ..trainer.instantbooth.objective import PredictorObjective, parameter_groups
from ..trainer.instantbooth.predictor import Predictor
from ..trainer.instantbooth.shape import PredictorShape, layers_of
from ..trainer.model.families.latent_diffusion.noise_schedule import alphas_cumprod
from ..trainer.model.families.stable_diffusion_1 import StableDiffusion1
from ..trainer.model.noise_process import Diffusion
from ..trainer.model.precision import cast_frozen, fastest_dtype
from ..trainer.options import TrainOptions
from ..trainer.session.predictor_training import train_predictor
from ..trainer.session.resume_state import StateKeeper
from ..trainer.training.step import Training
from .drawing_objective import DrawingObjective, DrawingsOf
from .evaluate import stored_models
from .icons import Icons, load_icons
from .judge import load_judge
from .near_drawings import may_be_shown
from .predicted_words import ToyPrompts
from .predictor_gain import LEVELS, HeldOutScenes, wrong_photos
from .scene_pairs import ScenePairs
from .subject_scenes import SubjectScenes
from .text_encoder import WIDTH
from .train_denoiser import MIN_SNR

CPU = torch.device("cpu")
FAMILY = StableDiffusion1.family


class PredictorTraining:
    """Both trainings of one command, on the same scenes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.dtype = arguments, fastest_dtype(CPU)
        icons = load_icons(arguments.icons, arguments.cache)
        self.denoiser, self.vae = stored_models()
        self.vae.to(memory_format=torch.channels_last)
        if self.dtype is not None:
            cast_frozen(self.denoiser, self.dtype)
        scenes = SubjectScenes(icons, _shown(icons, arguments), self.vae, arguments.seed, sorted({*arguments.sizes}))
        self.pairs = ScenePairs(scenes, arguments.seed, arguments.sizes, arguments.batch)
        self.predictor = Predictor(PredictorShape(FAMILY, layers_of(self.denoiser), {"text_encoder": WIDTH}))
        self.objective = PredictorObjective(
            self.predictor,
            self.denoiser,
            ToyPrompts(self.denoiser),
            Diffusion(alphas_cumprod(False)),
            MIN_SNR,
            self.dtype,
        )
        self.deadline = time.monotonic() + 60 * arguments.minutes if arguments.minutes else None
        self.held_out = HeldOutScenes(icons, self.vae, min(arguments.sizes))

    def train_encoder(self) -> bool:
        """The concept encoder alone; whether all its steps are done."""
        arguments, objective = self.arguments, DrawingObjective(self.predictor.encoder)
        options = _options(arguments, arguments.encoder_steps, arguments.encoder_rate, arguments.encoder_batch)
        groups = [{"params": [*objective.parameters()], "lr": options.learning_rate}]
        source = DrawingsOf(self.pairs, options.batch_size)
        training = Training(objective, groups, source, options, CPU)
        done = self._run(training, "encoder", lambda done: None)
        if done and training.average is not None:
            training.average.use()
        return done

    def train_predictor(self) -> None:
        """Encoder and adapters by the denoising loss."""
        arguments = self.arguments
        options = _options(arguments, arguments.steps, arguments.learning_rate, arguments.batch)
        training = Training(
            self.objective, parameter_groups(self.predictor, options.learning_rate), self.pairs, options, CPU
        )
        self._run(training, "predictor", lambda done: self._look(training, done))
        with training.to_use.in_place():
            self.predictor.write(arguments.out / "predictor.safetensors", {"steps": str(training.done)})

    def _run(self, training: Training, name: str, after_step: Callable[[int], None]) -> bool:
        path = self.arguments.out / f"{name}.state"
        keeper = StateKeeper(path, f"{name} {training.options.weight_settings} {self.arguments.sizes}", 180.0, _tell)
        with sdpa_kernel([SDPBackend.MATH]):
            return train_predictor(training, keeper, lambda event: _tell(event, name), self._over, after_step)

    def _over(self) -> bool:
        """Whether the minutes are spent."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def _look(self, training: Training, done: int) -> None:
        """Now and then the gains on held-out subjects and the averaged weights."""
        if done % self.arguments.look_every:
            return
        with training.to_use.in_place():
            right, wrong = (self.held_out.gains(self.objective, photos) for photos in (None, wrong_photos()))
            _print_gains(f"{done * training.options.batch_size:,} samples", right, wrong)
            gates = ", ".join(f"{float(one.gate.detach().tanh()):.3f}" for one in self.predictor.adapters.values())
            print(f"gates {gates}", flush=True)
            self.predictor.write(self.arguments.out / "predictor.safetensors", {"steps": str(done)})


def _options(arguments: argparse.Namespace, steps: int, rate: float, batch: int) -> TrainOptions:
    return TrainOptions(
        steps=steps,
        learning_rate=rate,
        batch_size=batch,
        # so that it may be ended at any step: what is used is the average
        schedule="constant_with_warmup",
        warmup_steps=min(100, steps // 10),
        ema_decay=0.995,
        seed=arguments.seed,
    )


def _shown(icons: Icons, arguments: argparse.Namespace) -> torch.Tensor:
    """Which drawings may be shown, computed once."""
    kept = arguments.out / "may_be_shown.safetensors"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file({"shown": may_be_shown(icons, (load_judge(), load_judge(second=True)))}, kept)
    return load_file(kept)["shown"]


def _print_gains(title: str, right: torch.Tensor, wrong: torch.Tensor) -> None:
    """The mean gains of the subjects' own photos and of others, in percent."""
    own, other = (", ".join(f"{100 * float(x):+.1f}" for x in gains.mean(0)) for gains in (right, wrong))
    print(f"gain after {title} at t = {LEVELS}: {own} %; of another subject's photo {other} %", flush=True)


def _tell(event: object, name: str = "") -> None:
    if isinstance(event, Step) and (event.step % 50 == 0 or event.step == event.steps):
        print(f"{time.strftime('%T')} {name} {event.step} loss {event.instance:.4f} norm {event.gradient_norm:.3f} "
              f"{event.steps_per_second:.3f} steps/s, {event.seconds_left / 60:.0f} min left", flush=True)  # fmt: skip
    elif isinstance(event, Warned):
        print(f"warning: {event.text}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--encoder-steps", type=int, default=400)
    parser.add_argument("--encoder-batch", type=int, default=32)
    parser.add_argument("--encoder-rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--minutes", type=float, default=0, help="after which it stops; the same command goes on")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 64, 64, 128], help="of pictures, step by step")
    parser.add_argument("--look-every", type=int, default=200, help="steps between two looks at held-out subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    training = PredictorTraining(arguments)
    if training.train_encoder():
        training.train_predictor()
