"""Upscalers among the host's diffusers folders, and the embedded one, which is written there by its first use."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ..trainer.model.source import Source
from .comfy_base_file import BaseFile
from .comfy_host import progress_bar, training_memory

log = logging.getLogger("dreambooth")
TOY, FOLDER = "toy upscaler", "dreambooth-nodes-toy-upscaler"
MEGABYTES = 275
PIPELINE = "StableDiffusionUpscalePipeline"


@dataclass(frozen=True)
class UpscalerFolder(BaseFile):
    """An upscaler in a diffusers folder."""

    @property
    def source(self) -> Source:
        """The folder as the trainer reads it."""
        from ..trainer.model.families import open_source

        return open_source(self.path)


def upscaler_names() -> list[str]:
    """The choices of an upscaler: the embedded one, where the pack carries it, and the host's diffusers folders."""
    from ..toybase.stored_upscaler import is_stored

    folders = (folder for root in _roots() if root.is_dir() for folder in sorted(root.iterdir()))
    own = [folder.name for folder in folders if folder.name != FOLDER and _is_upscaler(folder)]
    return [*([TOY] if is_stored() else []), *own]


def upscaler_folder(name: str) -> UpscalerFolder:
    """The upscaler of a choice; the embedded one is written where there is none. Raises ValueError for one that is not
    there, CheckpointError for a folder that cannot be trained, OSError where the embedded one cannot be written.
    """
    from ..toybase.stored_upscaler import is_stored
    from ..trainer.model.families import family_of, fingerprint_of, open_source

    own = FOLDER if name == TOY else name
    found = [root / own for root in _roots() if _is_upscaler(root / own)]
    if not found and not (name == TOY and is_stored()):
        raise ValueError(f"There is no upscaler {name[:100]!r} any more; press R and choose another.")
    path = found[0] if found else _written()
    source = open_source(path)
    prediction = str(family_of(source).prediction_type(source, None))
    return UpscalerFolder(path, fingerprint_of(source), prediction, {})


@torch.no_grad()
def enlarged(
    base: UpscalerFolder, lora: Path | None, pictures: Tensor, prompt: str, settings: Any, seed: int
) -> Tensor:
    """Pictures [B, 3, h, w] in 0..1 enlarged one by one, with progress on the node's bar, which a cancel ends."""
    from ..trainer.export.upscaler import personalized_upscaler
    from ..trainer.model.families import load_base
    from ..trainer.model.precision import autocast, forward_dtype
    from ..trainer.sampling.upscaling import upscale

    tell = progress_bar(len(pictures) * 100)
    with training_memory() as device, torch.no_grad():
        dtype = forward_dtype("auto", device)
        live = load_base(base.source, base.prediction, dtype or torch.float32, base.fingerprint)
        personalized_upscaler(live.compute_on(device), lora)
        drawn = []
        for number, picture in enumerate(pictures.split(1)):
            with autocast(dtype, device):
                share = _shares(tell, number * 100)
                drawn.append(upscale(live, picture, [prompt], [seed + number], settings, share))
    return torch.cat(drawn)


def _shares(tell: Any, done: int) -> Any:
    """A function that moves the bar by the share of one picture. done: parts before it."""
    return lambda share: tell(done + round(100 * share))


def _roots() -> Sequence[Path]:
    """Where the host looks for diffusers folders."""
    return [Path(folder) for folder in folder_paths.get_folder_paths("diffusers")]


def _is_upscaler(folder: Path) -> bool:
    """Whether a diffusers folder says that it is one."""
    try:
        said = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("_class_name") == PIPELINE


def _written() -> Path:
    """The folder of the embedded upscaler, written among the host's."""
    from ..toybase.diffusers_folder import write_upscaler_folder

    target = _roots()[0] / FOLDER
    log.info("Writing the toy upscaler, once: %s (%d MB)", target, MEGABYTES)
    try:
        return write_upscaler_folder(target)
    except FileExistsError as error:
        raise OSError(f"{target} is there and is no upscaler: move it away, and press Run again.") from error
    except OSError as error:
        raise OSError(
            f"The toy upscaler ({MEGABYTES} MB) could not be written to {target} ({error}). Make room, or make the "
            "folder writable, and press Run again."
        ) from error
