"""A LoRA's card in other packs: its picture and its facts in files beside it, as ComfyUI-Lora-Manager reads them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..trainer.files.atomic import write_json
from ..trainer.files.hashes import file_sha256
from ..trainer.files.pictures import write_picture
from ..trainer.files.safetensors import read_metadata
from ..trainer.options.choices import ADAPTERS
from ..trainer.runs.history import card
from ..trainer.runs.personalized import Personalized
from ..trainer.runs.run import Run

log = logging.getLogger("dreambooth")
PICTURE, FACTS = ".preview.png", ".metadata.json"
BASE_MODELS = {
    "stable-diffusion-v1": "SD 1.5",
    "stable-diffusion-v2": "SD 2.1",
    "stable-diffusion-xl": "SDXL 1.0",
    "qwen_image": "Qwen",
    "anima": "Anima",
    "krea2": "Krea 2",
}
"""{beginning of modelspec.architecture: that pack's name of the base}. A host's name that stands for several bases,
as "flux2" for Klein 4B and 9B, is none of them."""


def write_card(result: Personalized, run: Run) -> None:
    """Write both files beside a LoRA; what cannot be written is logged. A checkpoint gets none."""
    if result.method not in ADAPTERS:
        return
    try:
        newest = run.samples.newest()
        picture = None if newest is None else write_picture(newest, beside(result.file, PICTURE))
        write_json(facts_of(result, picture), beside(result.file, FACTS))
    except OSError as error:
        log.warning("The card of %s was not written: %s", result.file.name, error)


def remove_card(file: Path) -> None:
    """Delete what `write_card` wrote beside a file."""
    for ending in (PICTURE, FACTS):
        beside(file, ending).unlink(missing_ok=True)


def beside(file: Path, ending: str) -> Path:
    """A file's neighbour of the same name with another ending."""
    return file.with_name(f"{file.stem}{ending}")


def facts_of(result: Personalized, picture: Path | None) -> dict[str, Any]:
    """The fields that the pack requires of a card, and those that it shows."""
    about, stat = card(result), result.file.stat()
    architecture = read_metadata(result.file).get("modelspec.architecture", "")
    base = next((name for start, name in BASE_MODELS.items() if architecture.startswith(start)), "Unknown")
    return {
        "file_name": result.file.stem,
        "model_name": about["name"],
        "file_path": result.file.as_posix(),
        "size": stat.st_size,
        "modified": stat.st_mtime,
        "sha256": file_sha256(result.file),
        "base_model": base,
        "preview_url": "" if picture is None else picture.as_posix(),
        "notes": f"{about['steps']} steps, {about['photos']} photos, {about['priors']} class images, "
        f"seed {about['seed']}",
        "tags": ["dreambooth", about["class_noun"]],
        "modelDescription": f"DreamBooth of one {about['class_noun']}. Say “{about['trigger']}” in the prompt.",
        "from_civitai": False,
        "civitai": {"trainedWords": [about["trigger"]]},
        "trainedWords": [about["trigger"]],
        "usage_tips": '{"strength": 1.0}',
    }
