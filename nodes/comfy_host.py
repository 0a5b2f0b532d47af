"""Files, memory and models of ComfyUI. Only the `comfy_*.py` files import comfy, folder_paths or server."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import folder_paths
import torch
from torch import Tensor

from ..trainer.families import fingerprint_of
from ..trainer.source import CheckpointFile
from ..trainer.store import Store

WORK = "dreambooth"
UNTRAINABLE = {"X0", "IMG_TO_IMG", "EDM"}
"""The host's classes of answers that derive from those of epsilon or v, and are neither."""


def input_folder() -> Path:
    """Where users keep their photos, a folder for each subject."""
    return Path(folder_paths.get_input_directory())


def output_folder() -> Path:
    """Where the host keeps what it makes."""
    return Path(folder_paths.get_output_directory())


def store() -> Store:
    """Results where the host lists them after a refresh."""
    output = output_folder()
    return Store(output / "loras", output / "checkpoints", output / WORK)


def checkpoint_file(name: str) -> Path | None:
    """A file among the host's checkpoints, or None."""
    found = folder_paths.get_full_path("checkpoints", name)
    return Path(found) if found else None


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
    """MODEL, CLIP and VAE of a checkpoint, as the host's own loader gives them."""
    model, clip, vae = comfy.sd.load_checkpoint_guess_config(str(file))[:3]
    return model, clip, vae


@dataclass(frozen=True)
class BaseFile:
    """A graph's model, CLIP and VAE as one file, patches applied. prediction: what the graph's denoiser answers."""

    path: Path
    fingerprint: str
    prediction: str


_written: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], BaseFile]] = weakref.WeakKeyDictionary()


def base_file(model: Any, clip: Any, vae: Any) -> BaseFile:
    """The graph's model as a checkpoint in the host's temporary folder, written once for each state of it.

    Raises CheckpointError for a model of a family that cannot be trained.
    """
    prediction, marks = prediction_of(model), _marks(model)
    state = (model.patches_uuid, clip.patcher.patches_uuid, prediction, *marks)
    parts = (weakref.ref(clip.cond_stage_model), weakref.ref(vae.first_stage_model))
    known = _written.get(model.model)
    if known and known[0] == (*state, *parts) and known[1].path.is_file():
        return known[1]
    folder = Path(folder_paths.get_temp_directory()) / WORK
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.safetensors"
    try:
        comfy.sd.save_checkpoint(str(path), model, clip, vae, extra_keys=marks)
        written = BaseFile(path, fingerprint_of(CheckpointFile(path, "the connected model")), prediction)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _forget(known)
    _written[model.model] = ((*state, *parts), written)
    return written


def prediction_of(model: Any) -> str:
    """Weights do not carry it, and the graph may have changed it. Raises ValueError for what cannot be trained."""
    sampling = model.get_model_object("model_sampling")
    kinds = [kind.__name__ for kind in type(sampling).__mro__]
    if "ModelSamplingDiscrete" not in kinds or not UNTRAINABLE.isdisjoint(kinds):
        named = ", ".join(kinds[1:3])
        raise ValueError(f"The model samples by {named}, which cannot be trained: only epsilon and v_prediction can.")
    return "v_prediction" if "V_PREDICTION" in kinds else "epsilon"


def _marks(model: Any) -> dict[str, Tensor]:
    """What the host's own node adds to a file of a model whose last timestep is pure noise."""
    zero_snr = getattr(model.get_model_object("model_sampling"), "zsnr", False)
    return {"ztsnr": torch.tensor([])} if zero_snr else {}


def _forget(known: tuple[tuple[Any, ...], BaseFile] | None) -> None:
    if known:
        known[1].path.unlink(missing_ok=True)


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


def clip_tokenizer(clip: Any) -> Any:
    """transformers' tokenizer inside the host's CLIP. Raises ValueError for a text encoder of another kind."""
    for name in ("clip_l", "clip_h"):
        if found := getattr(clip.tokenizer, name, None):
            return found.tokenizer
    raise ValueError(f"clip is a {type(clip.tokenizer).__name__}; rare tokens are looked up in CLIP's vocabulary.")
