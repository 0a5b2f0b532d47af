"""The command lines of all sides: the same work, said in each one's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..child import child, training_child
from ..diffusers_scripts import THEIR_PRECISION, require_scripts, script_command
from .kohya import KOHYA_SCRIPT, kohya_options, kohya_python, require_kohya
from .materials import CLASS_NOUN, LEARNING_RATES, Materials, Task

OURS, OURS_PADDED = "ours", "ours, VAE as TrainLoraNode's"
THEIRS, THEIRS_CACHED = "diffusers", "diffusers, prompts cached"
NODE = "TrainLoraNode"
OURS_KOHYA, KOHYA = "ours, kohya's layers", "kohya"
WRAPPER = Path(__file__).with_name("device_memory.py")

Command = Callable[[Materials, Task, Path], list[str]]
"""The words that start a training of this side: (materials, task, output folder) → words."""


@dataclass(frozen=True)
class Contender:
    """One side. against: a rival's, the name of the one of ours that it is compared with. methods: that it can do.

    real_size: it takes no base of another size, such as toybase.
    """

    name: str
    command: Command
    against: str = ""
    methods: tuple[str, ...] = ("lora", "full")
    real_size: bool = False


def our_command(materials: Materials, task: Task, output: Path) -> list[str]:
    """`trainer.personalize`, by ours.py."""
    return training_child("bench.speed.ours", task.method, materials.device, materials.folder, task.said(), output)


def our_padded_command(materials: Materials, task: Task, output: Path) -> list[str]:
    """The same, from the very file that ComfyUI loads."""
    return our_command(materials, replace(task, layout="checkpoint"), output)


def node_command(materials: Materials, task: Task, output: Path) -> list[str]:
    """ComfyUI's node, by train_lora_node.py."""
    return child("bench.speed.train_lora_node", materials.folder, task.said(), output)


def scripts_command(scripts: Path, cache_prompts: bool = False) -> Command:
    """diffusers' script, unmodified; what is not named here is its default."""

    def command(materials: Materials, task: Task, output: Path) -> list[str]:
        options: dict[str, object] = {
            "pretrained_model_name_or_path": materials.diffusers_base,
            "instance_data_dir": materials.photos,
            "instance_prompt": materials.prompt(),
            "class_data_dir": materials.class_image_folder,
            "class_prompt": f"a {CLASS_NOUN}",
            "num_class_images": materials.class_images,
            "prior_loss_weight": 1.0,
            "resolution": materials.resolution,
            "train_batch_size": task.batch_size,
            "max_train_steps": task.steps,
            "learning_rate": LEARNING_RATES[task.method],
            "mixed_precision": THEIR_PRECISION[materials.precision],
            "checkpointing_steps": task.steps + 1,
            "seed": 0,
            "output_dir": output,
            **({"rank": task.rank} if task.method == "lora" else {}),
        }
        flags = ["--with_prior_preservation", *(["--pre_compute_text_embeddings"] if cache_prompts else [])]
        return wrapped([*script_command(scripts, task.method, options), *flags], materials)

    return command


def our_kohya_command(materials: Materials, task: Task, output: Path) -> list[str]:
    """LoRA of all layers of the transformer blocks, which are kohya's."""
    return our_command(materials, replace(task, options={**task.options, "targets": "transformer"}), output)


def kohya_command(scripts: Path) -> Command:
    """kohya's train_network.py, unmodified, by its own interpreter if it has one."""

    def command(materials: Materials, task: Task, output: Path) -> list[str]:
        start = [str(kohya_python(scripts)), str(scripts / KOHYA_SCRIPT)]
        return wrapped([*start, *kohya_options(materials, task, output)], materials)

    return command


def wrapped(words: list[str], materials: Materials) -> list[str]:
    """A script's command; on a GPU, one that says the device's memory when the script has ended."""
    return words if materials.device == "cpu" else [words[0], str(WRAPPER), *words[1:]]


def contenders(scripts: Path | None, prompts_cached_too: bool, comfyui: bool, kohya: Path | None) -> list[Contender]:
    """Ours first, then the rivals that are there. Raises ScriptsMissing."""
    sides = [Contender(OURS, our_command)]
    if scripts is not None:
        require_scripts(scripts)
        sides.append(Contender(THEIRS, scripts_command(scripts), OURS))
        if prompts_cached_too:
            sides.append(Contender(THEIRS_CACHED, scripts_command(scripts, cache_prompts=True), OURS))
    if comfyui:
        sides.append(Contender(OURS_PADDED, our_padded_command, methods=("lora",)))
        sides.append(Contender(NODE, node_command, against=OURS_PADDED, methods=("lora",)))
    if kohya is not None:
        require_kohya(kohya)
        sides.append(Contender(OURS_KOHYA, our_kohya_command, methods=("lora",), real_size=True))
        sides.append(Contender(KOHYA, kohya_command(kohya), against=OURS_KOHYA, methods=("lora",), real_size=True))
    return sides
