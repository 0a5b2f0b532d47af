"""Files, memory and models of ComfyUI. Only the `comfy_*.py` files import comfy, folder_paths or server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import comfy.utils
import folder_paths
import torch

from ..trainer.runs.store import Store

WORK = "dreambooth"
WORD = "embedding:{name}"
"""How a prompt of the host says a learned word, by its file's name."""


def progress_bar(parts: int) -> Callable[[int], None]:
    """A function that moves the executing node's bar to a number of `parts`, and raises where the user cancelled."""
    return comfy.utils.ProgressBar(parts).update_absolute


def input_folder() -> Path:
    """Where users keep their photos, a folder for each subject."""
    return Path(folder_paths.get_input_directory())


def output_folder() -> Path:
    """Where the host keeps what it makes."""
    return Path(folder_paths.get_output_directory())


def store() -> Store:
    """Results where the host lists them after a refresh."""
    output = output_folder()
    words = Path(folder_paths.get_folder_paths("embeddings")[0])
    return Store(output / "loras", output / "checkpoints", output / WORK, words, WORD)


def checkpoint_file(name: str) -> Path | None:
    """A file among the host's checkpoints, or None."""
    found = folder_paths.get_full_path("checkpoints", name)
    return Path(found) if found else None


def checkpoint_names() -> list[str]:
    """What the host lists as checkpoints."""
    return list(folder_paths.get_filename_list("checkpoints"))


def lora_names() -> list[str]:
    """What the host lists as LoRAs."""
    return list(folder_paths.get_filename_list("loras"))


def lora_file(name: str) -> Path:
    """A file among the host's LoRAs. Raises ValueError for a name that leads to none, or out of its folders."""
    found = folder_paths.get_full_path("loras", name)
    folders = [Path(folder).resolve() for folder in folder_paths.get_folder_paths("loras")]
    if found is None or not any(folder in Path(found).resolve().parents for folder in folders):
        raise ValueError(f"There is no LoRA {name!r}; press R to refresh the list.")
    return Path(found)


def checkpoint_folder() -> Path:
    """The folder where the host looks for checkpoints first."""
    return Path(folder_paths.get_folder_paths("checkpoints")[0])


def load_checkpoint(file: Path) -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE of a checkpoint, as the host's own loader gives them; prompts find the learned words."""
    words = folder_paths.get_folder_paths("embeddings")
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(file), embedding_directory=words)[:3]
    return model, clip, vae


@contextmanager
def training_memory() -> Iterator[torch.device]:
    """Autograd inside, the host's models off the device; both as before afterwards."""
    comfy.model_management.unload_all_models()
    comfy.model_management.soft_empty_cache()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield comfy.model_management.get_torch_device()
    finally:
        comfy.model_management.soft_empty_cache()


def interrupted() -> bool:
    """Whether the user pressed cancel; the flag stays up for `raise_if_interrupted`."""
    return bool(comfy.model_management.processing_interrupted())


def raise_if_interrupted() -> None:
    """End the prompt as the host does it, if the user pressed cancel."""
    comfy.model_management.throw_exception_if_processing_interrupted()
