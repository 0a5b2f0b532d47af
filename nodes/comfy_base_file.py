"""The graph's model, CLIP and VAE as one file that the trainer reads: whatever is upstream counts."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.sd
import folder_paths
import torch
from torch import Tensor

from ..trainer.model.source import CheckpointFile, Source
from .comfy_host import WORK


@dataclass(frozen=True)
class BaseFile:
    """A graph's model, CLIP and VAE as one file, patches applied. prediction: what the graph's denoiser answers. known:
    what is known of the model besides, which the host does not write into the file.
    """

    path: Path
    fingerprint: str
    prediction: str
    known: Mapping[str, str]

    @property
    def source(self) -> Source:
        """The file as the trainer reads it."""
        return CheckpointFile(self.path, known=self.known)


_written: weakref.WeakKeyDictionary[Any, tuple[tuple[Any, ...], BaseFile]] = weakref.WeakKeyDictionary()


def base_file(model: Any, clip: Any, vae: Any) -> BaseFile:
    """The graph's model as a checkpoint in the host's temporary folder, written once for each state of it.

    Raises CheckpointError for a model of a family that cannot be trained, ValueError for a way of sampling that its
    family does not train by.
    """
    sampling, marks = _sampling(model), _marks(model)
    state = (model.patches_uuid, clip.patcher.patches_uuid, sampling, *marks)
    parts = (weakref.ref(clip.cond_stage_model), weakref.ref(vae.first_stage_model))
    known = _written.get(model.model)
    if known and known[0] == (*state, *parts) and known[1].path.is_file():
        return known[1]
    folder = Path(folder_paths.get_temp_directory()) / WORK
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.safetensors"
    try:
        comfy.sd.save_checkpoint(str(path), model, clip, vae, extra_keys=marks)
        written = _described(path, sampling)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _forget(known)
    _written[model.model] = ((*state, *parts), written)
    return written


def _described(path: Path, sampling: tuple[str, ...]) -> BaseFile:
    from ..toybase.judge_scorer import is_embedded_base
    from ..toybase.writer import RESOLUTION
    from ..trainer.model.families import family_of, fingerprint_of
    from ..trainer.model.fingerprint import weight_sample

    source = CheckpointFile(path, "the connected model")
    prediction = family_of(source).comfyui_prediction_type(sampling)
    known = {"resolution": RESOLUTION} if is_embedded_base(weight_sample(source)) else {}
    return BaseFile(path, fingerprint_of(source), prediction, known)


def _sampling(model: Any) -> tuple[str, ...]:
    """The host's classes of noise schedule and answer, which the graph may have changed."""
    kind = type(model.get_model_object("model_sampling"))
    return tuple(base.__name__ for base in kind.__bases__)


def loaded_from(model: Any, clip: Any, vae: Any) -> Path | None:
    """The checkpoint that all three came from as they are; None where they did not, or where the host does not tell.

    ComfyUI 0.33 keeps with a model how to load it again; 0.3.75 keeps nothing, and a result's metadata then names its
    base by the fingerprint alone.
    """
    patchers = model, clip.patcher, vae.patcher
    files = {_loaded_from(patcher) for patcher in patchers}
    file = files.pop() if len(files) == 1 and not any(patcher.patches for patcher in patchers) else None
    return file if file is not None and file.is_file() else None


def _loaded_from(patcher: Any) -> Path | None:
    again = getattr(patcher, "cached_patcher_init", None)
    if again is None or not again[0].__name__.startswith("load_checkpoint_"):
        return None
    return Path(again[1][0])


def _marks(model: Any) -> dict[str, Tensor]:
    """What the host's own node adds to a file of a model whose last timestep is pure noise."""
    zero_snr = getattr(model.get_model_object("model_sampling"), "zsnr", False)
    return {"ztsnr": torch.tensor([])} if zero_snr else {}


def _forget(known: tuple[tuple[Any, ...], BaseFile] | None) -> None:
    if known:
        known[1].path.unlink(missing_ok=True)
