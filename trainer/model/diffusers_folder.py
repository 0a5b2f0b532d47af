"""The files of a diffusers folder, under the names that diffusers' and transformers' `save_pretrained` give them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files.safetensors import CheckpointError, listed
from .source import EDM, Files, PartFiles

WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|model)"
    r"(?:\.(?P<variant>[^.]+?))?(?:-\d+-of-\d+)?\.safetensors(?P<index>\.index(?:\.(?P<of_index>[^.]+))?\.json)?"
)
"""The name of a file of weights, of one of its shards (`model.fp16-00001-of-00002.safetensors`), or of the index of
these (`model.safetensors.index.fp16.json`), with the name of the variant.
"""
SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")
VARIANTS = ("", "fp32", "non_ema", "fp16", "bf16", "ema")
"""The variants of a component's weights, the one that is read first; "": without a name. Others stand behind them."""


def folder_files(folder: Path, denoisers: Iterable[str]) -> tuple[PartFiles, dict[str, str]]:
    """The files of a diffusers folder (written by `save_pretrained` with safetensors), and the hints of its scheduler.

    denoisers: the possible names of the denoiser's folder. Raises CheckpointError for any other folder.
    """
    names = list(dict.fromkeys(denoisers))
    config = folder / "scheduler" / "scheduler_config.json"
    denoiser = next((folder / name for name in names if (folder / name).is_dir()), None)
    if denoiser is None or not config.is_file():
        raise CheckpointError(
            f"{folder.name!r} is no diffusers folder that can be trained: it has no "
            f"{' or '.join(f'{name}/' for name in names)}, or no scheduler/scheduler_config.json. Name such a folder, "
            "or a .safetensors checkpoint."
        )
    encoders = sorted(path for path in folder.glob("text_encoder*") if path.is_dir())
    text_encoders = tuple(_weight_files(path) for path in encoders)
    files = PartFiles(_weight_files(denoiser), text_encoders, _weight_files(folder / "vae"))
    said = _parsed(config)
    if str(said.get("_class_name")).startswith("EDM"):
        said["prediction_type"] = EDM
    zero_snr = {"zero_snr": "true"} if said.get("rescale_betas_zero_snr") else {}
    return files, {"prediction_type": said.get("prediction_type", "epsilon"), **zero_snr}


def _weight_files(folder: Path) -> Files:
    """The weight files of a component, a single file or the shards of an index; of several variants the first in the
    order of VARIANTS.

    Raises CheckpointError where there is none, or where there are several variants and none is in VARIANTS.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = WEIGHTS.fullmatch(path.name)
        if name and path.is_file() and not SHARD.search(path.name):
            found.setdefault(name["of_index"] or name["variant"] or "", []).append(path)
    known = [variant for variant in VARIANTS if variant in found] or list(found)
    if not known:
        raise CheckpointError(
            f"{folder.parent.name!r} has no {folder.name}/*.safetensors; .bin and .ckpt are not read."
        )
    if known[0] not in VARIANTS and len(known) > 1:
        raise CheckpointError(
            f"{folder.parent.name!r} has several variants of {folder.name}/ ({listed(known)}): leave one of them there."
        )
    # A whole file before an index, which may be left from an earlier save.
    first = min(found[known[0]], key=lambda path: path.suffix == ".json")
    return _listed_files(first) if first.suffix == ".json" else (first,)


def _listed_files(index: Path) -> Files:
    """The files that an index lists, beside it. Raises CheckpointError for one that lists none."""
    weights = _parsed(index).get("weight_map")
    if not isinstance(weights, dict) or not weights:
        raise CheckpointError(f"{index.name!r} in {index.parent} lists no files: fetch the folder again.")
    return tuple(index.parent / Path(str(name)).name for name in sorted(set(weights.values())))


def _parsed(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError for anything else."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise CheckpointError(
            f"{file.name!r} in {file.parent} is no JSON ({error}): fetch the folder again."
        ) from error
    if not isinstance(said, dict):
        raise CheckpointError(f"{file.name!r} in {file.parent} is no JSON object: fetch the folder again.")
    return said
