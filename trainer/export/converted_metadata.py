"""The metadata of a converted file."""

from __future__ import annotations

from pathlib import Path

from ..files.safetensors import CheckpointError, read_metadata
from ..model.layers import Layers
from ..model.source import CheckpointFile, Source
from ..runs.personalized import PREFIX
from .conversion import Conversion
from .metadata import inherited_metadata
from .modelspec import SPEC, VERSION

ARCHITECTURE, PREDICTION = f"{SPEC}architecture", f"{SPEC}prediction_type"


def converted_metadata(wanted: Conversion, method: str, layers: Layers) -> dict[str, str]:
    """The metadata of a converted file that do not depend on its layout. method: of the result, "lora" or "full".
    layers: of the base.

    The architecture comes from the base's family where the source does not name it, as other programs' files seldom do.
    """
    source, base = said_by(wanted.source), {} if wanted.base is None else said_by(wanted.base)
    known = {f"{SPEC}sai_model_spec": VERSION, f"{SPEC}title": wanted.target.stem}
    if PREDICTION in base:
        known[PREDICTION] = base[PREDICTION]
    known |= inherited_metadata(source)
    if f"{PREFIX}method" in source:
        known[f"{PREFIX}method"] = method
    architecture = known.get(ARCHITECTURE) or _architecture(layers, wanted.prediction or known.get(PREDICTION))
    return {**known, ARCHITECTURE: architecture} if architecture else known


def said_by(model: Path | Source) -> dict[str, str]:
    """The metadata of a model's file; empty for a model in another form."""
    path = model.path if isinstance(model, CheckpointFile) else model
    return read_metadata(path) if isinstance(path, Path) and path.is_file() else {}


def _architecture(layers: Layers, prediction: str | None) -> str:
    """The architecture in the modelspec specification; "" where it depends on a prediction type that is not known."""
    try:
        return layers.family.architecture_of(layers.family.prediction_type(layers.source, prediction))
    except CheckpointError:
        # The prediction type is not known, and no layer depends on it: the file then does not name its architecture.
        return ""
