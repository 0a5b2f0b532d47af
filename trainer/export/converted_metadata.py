"""What a file that was converted says of itself: what its source said, and what its base tells."""

from __future__ import annotations

from pathlib import Path

from ..files.safetensors import CheckpointError, read_metadata
from ..model.layers import Layers
from ..model.source import CheckpointFile, Source
from ..runs.personalized import PREFIX
from .conversion import Conversion
from .metadata import carried
from .modelspec import SPEC, VERSION

ARCHITECTURE, PREDICTION = f"{SPEC}architecture", f"{SPEC}prediction_type"


def converted_metadata(wanted: Conversion, method: str, layers: Layers) -> dict[str, str]:
    """What holds in every layout. method: "lora" or "full", of the result. layers: of the base.

    Files of other tools seldom name their architecture: the base's family does.
    """
    source, base = _said_by(wanted.source), {} if wanted.base is None else _said_by(wanted.base)
    known = {f"{SPEC}sai_model_spec": VERSION, f"{SPEC}title": wanted.target.stem}
    if PREDICTION in base:
        known[PREDICTION] = base[PREDICTION]
    known |= carried(source)
    if f"{PREFIX}method" in source:
        known[f"{PREFIX}method"] = method
    architecture = known.get(ARCHITECTURE) or _architecture(layers, wanted.prediction or known.get(PREDICTION))
    return {**known, ARCHITECTURE: architecture} if architecture else known


def _said_by(model: Path | Source) -> dict[str, str]:
    path = model.path if isinstance(model, CheckpointFile) else model
    return read_metadata(path) if isinstance(path, Path) and path.is_file() else {}


def _architecture(layers: Layers, prediction: str | None) -> str:
    try:
        return layers.family.architecture_of(layers.family.answers(layers.source, prediction))
    except CheckpointError:
        # What the denoiser answers does not show, and no layer depends on it: the file just does not name its base.
        return ""
