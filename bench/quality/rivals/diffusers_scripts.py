"""diffusers' train_dreambooth.py and train_dreambooth_lora.py, unedited, from a folder that the user names."""

from __future__ import annotations

import math
import shutil
import tempfile
from functools import partial
from pathlib import Path

from ....trainer.files.safetensors import read_tensors
from ....trainer.model.base import Base
from ....trainer.model.families import load_base
from ...diffusers_scripts import THEIR_PRECISION, require_scripts, script_command
from ...measured_process import measure
from ..contender import Contender, Look, Trained, Work
from .merged import MergedDenoiser, differences, replace_weights, share, trained_weights
from .precision import chosen_precision

LORA_FILE = Path("pytorch_lora_weights.safetensors")
UNET_FILE = Path("unet", "diffusion_pytorch_model.safetensors")
FEWEST_STEPS_BETWEEN_STATES = 5
"""A state of a full training holds the optimizer as well: three times the denoiser's size."""


def diffusers_scripts(scripts: Path) -> Contender:
    """The contender that runs the scripts in `scripts`, examples/dreambooth of diffusers' sources.

    Raises ScriptsMissing.
    """
    scripts = scripts.expanduser().resolve()
    require_scripts(scripts)
    return partial(train_by_script, scripts)


def train_by_script(scripts: Path, work: Work, folder: Path, look: Look) -> Trained:
    """One training, with a state kept every so many steps: the greatest common divisor of `looks`.

    The text encoder is not trained; what `Work` does not say is the script's default. Speed is taken from its
    progress bar, away from the steps at which it saves. All that it writes but its log is removed.
    Raises ValueError for work that it cannot do, MeasurementError with the log's end where it fails.
    """
    every = steps_between_states(work)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="trained-") as name:
        output = Path(name)
        saves = range(every, work.steps + 1, every)
        found = measure(command(scripts, work, output), work.steps, folder / "diffusers.log", saves)
        for step in set(saves) - set(work.looks):
            shutil.rmtree(output / f"checkpoint-{step}")
        count, base = _show(work, output, look)
        file_size = (output / (LORA_FILE if work.method == "lora" else UNET_FILE)).stat().st_size
    return Trained(work.steps / found.steps_per_second, share(count, base), file_size)


def steps_between_states(work: Work) -> int:
    """How often a state is kept, so that there is one at every look. Raises ValueError where that is too often."""
    every = math.gcd(*work.looks)
    if every < FEWEST_STEPS_BETWEEN_STATES:
        raise ValueError(
            f"looks {work.looks} have {every} as their greatest common divisor, and diffusers' scripts would keep a "
            f"state every {every} steps: choose multiples of {FEWEST_STEPS_BETWEEN_STATES} or more"
        )
    return every


def command(scripts: Path, work: Work, output: Path) -> list[str]:
    """The script's command line for `work`, with prior preservation where its prior_weight is above 0."""
    options = {
        "pretrained_model_name_or_path": work.diffusers_base,
        "instance_data_dir": work.photos,
        "instance_prompt": work.instance_prompt,
        "resolution": work.size,
        "max_train_steps": work.steps,
        "learning_rate": work.learning_rate,
        "mixed_precision": THEIR_PRECISION[chosen_precision(work)],
        "checkpointing_steps": steps_between_states(work),
        "dataloader_num_workers": 0,
        "seed": work.seed,
        "output_dir": output,
        **({"rank": work.rank} if work.method == "lora" else {}),
    }
    if not work.prior_weight:
        return script_command(scripts, work.method, options)
    return [*script_command(scripts, work.method, {**options, **_priors(work)}), "--with_prior_preservation"]


def _priors(work: Work) -> dict[str, object]:
    if work.class_images is None:
        raise ValueError(f"prior_weight is {work.prior_weight} and there are no class images: give a folder of them")
    return {
        "class_data_dir": work.class_images,
        "class_prompt": work.class_prompt,
        # Where the folder holds fewer than it is told, the script draws the rest by itself.
        "num_class_images": sum(1 for _ in work.class_images.iterdir()),
        "prior_loss_weight": work.prior_weight,
    }


def _show(work: Work, output: Path, look: Look) -> tuple[int, Base]:
    """Look at every state; the number of trained weights, and the base."""
    merged = MergedDenoiser(load_base(work.base))
    count = 0
    for step in work.looks:
        state = output / f"checkpoint-{step}"
        if work.method == "lora":
            tensors = read_tensors(state / LORA_FILE)
            count = trained_weights(tensors)
            merged.add(differences(tensors, module_name))
        else:
            tensors = read_tensors(state / UNET_FILE)
            count = sum(tensor.numel() for tensor in tensors.values())
            replace_weights(merged.base, tensors)
        look(step, merged.base)
        shutil.rmtree(state)
    return count, merged.base


def module_name(name: str) -> str | None:
    """Our name of a module in diffusers' LoRA file; None for the text encoder's."""
    return name.removeprefix("unet.") if name.startswith("unet.") else None
