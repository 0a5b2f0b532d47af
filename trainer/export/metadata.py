"""The metadata in a result's header: the modelspec specification's fields, kohya's `ss_` fields, and this package's
own.

No field names a folder or a user of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from ..methods.lidb.start import FIELD as LIDB_FIELD
from ..model.base import Model
from ..model.family import Family
from ..runs.personalized import PREFIX
from .kohya_fields import kohya_fields
from .layouts import EMBEDDING, LORA_LAYOUTS, Layout
from .modelspec import SPEC, modelspec_fields
from .run_info import RunInfo

STABILITY = "https://github.com/Stability-AI/generative-models"
"""The modelspec implementation whose names the original layout has."""
RUN = f"{PREFIX}run"
"""The metadata field with the key of the run that wrote the file."""
CHOICE = f"{PREFIX}choice"
"""The metadata field that says why this step of its run is the result, where scores chose it."""
WORD_ARCHITECTURE = "/textual-inversion"
"""What the modelspec puts behind the architecture of a learned word's base."""
COMFYUI = "ComfyUI"
"""The modelspec implementation of a LoRA with ComfyUI's own names of the layers."""
ABOUT_THE_FILE = ("ss_network_", "lora_adapter_metadata", "format", "dreambooth.difference", LIDB_FIELD, RUN)
"""The prefixes of metadata fields that are true of one file only, and are not copied to a converted one."""


def run_metadata(said: RunInfo, base: Model) -> dict[str, str]:
    """The metadata of a result that do not depend on the file's layout."""
    ours = {
        "settings": json.dumps(said.options.settings, ensure_ascii=False),
        "photos": str(len(said.subject.all_photos)),
        "priors": str(said.priors),
    }
    own = {f"{PREFIX}{name}": value for name, value in ours.items()}
    return {**modelspec_fields(said, base.prediction), **kohya_fields(said, base), **own}


def layout_metadata(
    family: type[Family], layout: Layout | Literal["embedding"], architecture: str = ""
) -> dict[str, str]:
    """The metadata that depend on the file's layout. architecture: the base's; no field for it where it is ""."""
    if layout == EMBEDDING:
        return {f"{SPEC}architecture": f"{architecture}{WORD_ARCHITECTURE}"} if architecture else {}
    adapter = layout in LORA_LAYOUTS
    theirs = family.kohya_by_original if adapter else True
    named = {f"{SPEC}implementation": STABILITY if theirs and not layout.startswith("diffusers") else "diffusers"}
    if architecture:
        named[f"{SPEC}architecture"] = architecture.removesuffix("/lora") + ("/lora" if adapter else "")
    return named


def is_comfyui_lora(metadata: Mapping[str, str]) -> bool:
    """Whether these are the metadata of a LoRA with ComfyUI's own names of the layers."""
    return metadata.get(f"{SPEC}implementation") == COMFYUI


def inherited_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a source that hold for its conversion too."""
    return {key: value for key, value in metadata.items() if not key.startswith(ABOUT_THE_FILE)}
