"""What kohya's sd-scripts are told, and where they find it: folders named "<repeats>_<prompt>", and a tokenizer."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ..diffusers_scripts import THEIR_PRECISION, ScriptsMissing
from .materials import CLASS_NOUN, LEARNING_RATES, Materials, Task

KOHYA_SCRIPT = "train_network.py"
TOKENIZER = "openai_clip-vit-large-patch14"
"""As their tokenizer cache names it: without it they would ask a model hub."""
REPEATS = 4
"""Of the photos in an epoch, which so ends with a whole batch; class images are repeated to the same number."""


def photo_folder(materials: Materials) -> Path:
    """Of the subject's photos, in their layout."""
    return materials.folder / "kohya" / "photos"


def class_folder(materials: Materials) -> Path:
    """Of their regularization images, in their layout."""
    return materials.folder / "kohya" / "class"


def tokenizer_folder(materials: Materials) -> Path:
    """Their cache of tokenizers."""
    return materials.folder / "kohya" / "tokenizers"


def lay_out(materials: Materials) -> None:
    """The materials' pictures in their folders."""
    shutil.copytree(materials.photos, photo_folder(materials) / f"{REPEATS}_{materials.prompt()}")
    shutil.copytree(materials.class_image_folder, class_folder(materials) / f"1_a {CLASS_NOUN}")


def require_kohya(scripts: Path) -> None:
    """Raise ScriptsMissing where the folder does not hold their script."""
    if not (scripts / KOHYA_SCRIPT).is_file():
        raise ScriptsMissing(f"{scripts} holds no {KOHYA_SCRIPT}: --kohya names a clone of kohya's sd-scripts")


def kohya_python(scripts: Path) -> Path:
    """Of the environment that their installation makes in the clone, or else ours."""
    own = scripts / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return own if own.is_file() else Path(sys.executable)


def kohya_options(materials: Materials, task: Task, output: Path) -> list[str]:
    """The same work: photos and class images in one batch, latents cached, only the denoiser's LoRA trained."""
    options: dict[str, object] = {
        "pretrained_model_name_or_path": materials.checkpoint,
        "tokenizer_cache_dir": tokenizer_folder(materials),
        "train_data_dir": photo_folder(materials),
        "reg_data_dir": class_folder(materials),
        "prior_loss_weight": 1.0,
        "resolution": materials.resolution,
        "train_batch_size": 2 * task.batch_size,
        "max_train_steps": task.steps,
        "max_data_loader_n_workers": 0,
        "learning_rate": LEARNING_RATES[task.method],
        "lr_scheduler": "constant",
        "optimizer_type": "AdamW",
        "network_module": "networks.lora",
        "network_dim": task.rank,
        "network_alpha": task.rank,
        "mixed_precision": THEIR_PRECISION[materials.precision],
        "seed": 0,
        "output_dir": output,
    }
    flags = ["--network_train_unet_only", "--cache_latents", "--sdpa"]
    return [*(word for name, value in options.items() for word in (f"--{name}", str(value))), *flags]
