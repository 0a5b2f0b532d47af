"""The files of a LoRA: one file, with or without peft's settings beside it, or a folder of peft's or diffusers'."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...files.adapter_kinds import is_adapter, other_file
from ...files.hashes import file_sha256
from ...files.safetensors import CheckpointError, listed, read_shapes
from .peft_settings import CONFIG, PeftSettings, settings_beside

WEIGHTS = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
"""The names that peft and diffusers give a LoRA's weights."""
PICKLED = ("adapter_model.bin", "pytorch_lora_weights.bin")
"""Their names in files that can run code when opened."""


@dataclass(frozen=True)
class AdapterFile:
    """One file of a LoRA. settings: peft's beside it. folder: the name of its subfolder, which names the component;
    "": it stands alone.
    """

    file: Path
    settings: PeftSettings | None
    folder: str = ""


def adapter_files(path: Path) -> tuple[AdapterFile, ...]:
    """The files of the LoRA, or of another adapter, at a path; none where it is something else.

    A folder holds the weights itself, or a subfolder for each component. Raises CheckpointError for a damaged file, for
    settings that are no plain LoRA's, and for a folder with weights in pickled files only.
    """
    if path.is_dir():
        return _in_folder(path)
    if not is_adapter(read_shapes(path)):
        return ()
    return (AdapterFile(path, settings_beside(path)),)


def no_lora(path: Path) -> CheckpointError:
    """The error for a path at which there is no LoRA; it names what the file is, where that is known."""
    kind = None if path.is_dir() else other_file(read_shapes(path))
    return CheckpointError(f"{path.name!r} {'holds' if kind is None else f'is {kind}, and holds'} no LoRA.")


def lora_sha256(path: Path) -> str:
    """The SHA-256 (hex) of a LoRA's weights, and of peft's settings beside them where these count."""
    files = adapter_files(path) if path.is_dir() or (path.parent / CONFIG).is_file() else ()
    if not files or [(own.file, own.settings) for own in files] == [(path, None)]:
        return file_sha256(path)
    parts = [(own.folder, file_sha256(own.file), repr(own.settings)) for own in files]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _in_folder(folder: Path) -> tuple[AdapterFile, ...]:
    """The files in a folder, else in its subfolders."""
    if (file := _weights(folder)) is not None:
        return (AdapterFile(file, settings_beside(file)),)
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [AdapterFile(file, settings_beside(file), path.name) for path in subfolders if (file := _weights(path))]
    if len(found) == 1 and not _names_a_component(found[0].folder):
        # peft puts an adapter that is not called "default" into a folder of its name.
        return (AdapterFile(found[0].file, found[0].settings),)
    if strange := [own.folder for own in found if not _names_a_component(own.folder)]:
        raise CheckpointError(f"{folder.name!r} holds several LoRAs ({listed(strange)}): name the folder of one.")
    return tuple(found)


def _weights(folder: Path) -> Path | None:
    """The file of weights in a folder of peft's or diffusers'. Raises CheckpointError where it is pickled."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    for name in PICKLED:
        if (folder / name).is_file():
            raise CheckpointError(
                f"{folder.name!r} holds {name}, which can run code when opened and is not read: save it as safetensors."
            )
    return None


def _names_a_component(folder: str) -> bool:
    """Whether a subfolder is named as a component of a diffusers model."""
    return folder in ("unet", "transformer") or folder.startswith("text_encoder")
