"""The command lines of both sides: the same work, said in each one's words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .materials import CLASS_NOUN, IDENTIFIER, INSTANCE_PROMPT, Materials

ROOT = Path(__file__).resolve().parent.parent
RANK = 4
"""Of either LoRA, on attention's four projections: the default of their script, which trains no other layers."""
LEARNING_RATES = {"lora": 1e-4, "full": 5e-6}
SCRIPTS = {"lora": "train_dreambooth_lora.py", "full": "train_dreambooth.py"}
SAME_FOR_ALL = {"train_batch_size": 1, "lr_scheduler": "constant", "lr_warmup_steps": 0}
THEIR_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
OURS, THEIRS, THEIRS_CACHED = "ours", "theirs", "theirs, prompts cached"

_CHILD = (
    "import importlib, runpy, sys; "
    "package = runpy.run_path(sys.argv[1], run_name='child')['load_package']().__name__; "
    "importlib.import_module(f'{package}.{sys.argv[2]}').main(sys.argv[3:])"
)


class ScriptsMissing(ValueError):
    """The folder that was named does not hold diffusers' scripts."""


@dataclass(frozen=True)
class Contender:
    """One side. command: (materials, method, steps, output folder) → words."""

    name: str
    command: Callable[[Materials, str, int, Path], list[str]]


def child(module: str, *words: object) -> list[str]:
    """The command that runs `main` of a module of this package in a process of its own."""
    return [sys.executable, "-c", _CHILD, str(ROOT / "__main__.py"), module, *map(str, words)]


def our_command(materials: Materials, method: str, steps: int, output: Path) -> list[str]:
    """`trainer.personalize`, by bench/ours.py."""
    rate = LEARNING_RATES[method]
    return child("bench.ours", materials.folder, method, steps, rate, RANK, output)


def their_command(
    scripts: Path, materials: Materials, method: str, steps: int, output: Path, cache_prompts: bool = False
) -> list[str]:
    """Their script, unmodified; what is not named here is their default."""
    prompt = INSTANCE_PROMPT.replace("[V]", IDENTIFIER).replace("{class}", CLASS_NOUN)
    options: Mapping[str, object] = {
        "pretrained_model_name_or_path": materials.diffusers_base,
        "instance_data_dir": materials.photos,
        "instance_prompt": prompt,
        "class_data_dir": materials.class_image_folder,
        "class_prompt": f"a {CLASS_NOUN}",
        "num_class_images": materials.class_images,
        "prior_loss_weight": 1.0,
        "resolution": materials.resolution,
        "max_train_steps": steps,
        "learning_rate": LEARNING_RATES[method],
        "mixed_precision": THEIR_PRECISION[materials.precision],
        "checkpointing_steps": steps + 1,
        "seed": 0,
        "output_dir": output,
        **({"rank": RANK} if method == "lora" else {}),
    }
    flags = ["--with_prior_preservation", *(["--pre_compute_text_embeddings"] if cache_prompts else [])]
    return [*script_command(scripts, method, options), *flags]


def script_command(scripts: Path, method: str, options: Mapping[str, object]) -> list[str]:
    """The command of their script for a method, at batch 1 and a constant rate, with {option: value}."""
    named = {**SAME_FOR_ALL, **options}
    words = [word for name, value in named.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(scripts / SCRIPTS[method]), *words]


def require_scripts(scripts: Path) -> None:
    """Raise ScriptsMissing where the folder does not hold both scripts."""
    for name in SCRIPTS.values():
        if not (scripts / name).is_file():
            raise ScriptsMissing(
                f"{scripts} holds no {name}: --diffusers names the folder examples/dreambooth of diffusers' "
                "sources, at a version not above the installed one"
            )


def contenders(scripts: Path, prompts_cached_too: bool) -> list[Contender]:
    """Ours first, then theirs. Raises ScriptsMissing."""
    require_scripts(scripts)

    def theirs(cache: bool) -> Callable[[Materials, str, int, Path], list[str]]:
        return lambda materials, method, steps, output: their_command(scripts, materials, method, steps, output, cache)

    rivals = [Contender(THEIRS, theirs(False))]
    if prompts_cached_too:
        rivals.append(Contender(THEIRS_CACHED, theirs(True)))
    return [Contender(OURS, our_command), *rivals]
