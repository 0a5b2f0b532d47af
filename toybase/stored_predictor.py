"""The predictor of the embedded base, as it is stored: int8 per output channel (quantize.py)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .quantize import WEIGHTS, pack, unpack

if TYPE_CHECKING:
    # A host asks for the choices of its nodes before it needs any of the libraries.
    from ..trainer.instantbooth.prediction import KnownPredictor

FILE = "predictor.safetensors"


def stored_file(folder: Path = WEIGHTS) -> Path:
    """Where the stored predictor is, if there is one."""
    return folder / FILE


def is_stored(folder: Path = WEIGHTS) -> bool:
    """Whether there is a stored predictor."""
    return stored_file(folder).is_file()


def stored_predictor(folder: Path = WEIGHTS) -> KnownPredictor:
    """The stored predictor, frozen, in float32. Raises FileNotFoundError where there is none."""
    from safetensors.torch import load_file

    from ..trainer.files.hashes import file_sha256
    from ..trainer.files.safetensors import read_metadata
    from ..trainer.instantbooth.prediction import KnownPredictor
    from ..trainer.instantbooth.predictor import predictor_of
    from ..trainer.instantbooth.shape import PredictorShape

    path = folder / FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: make it with `python -m toybase train_predictor` and store it")
    metadata = read_metadata(path)
    shape = PredictorShape.of_metadata(metadata, path.name)
    return KnownPredictor(predictor_of(shape, unpack(load_file(path)), path.name), file_sha256(path), metadata)


def store_predictor(run: Path, folder: Path = WEIGHTS) -> Path:
    """Store a trained predictor (train_predictor.py) as int8, with the fingerprint of the base as hosts load it."""
    from safetensors.torch import load_file, save_file

    from ..trainer.files.safetensors import read_metadata
    from ..trainer.instantbooth.prediction import BASE
    from ..trainer.instantbooth.shape import PredictorShape
    from ..trainer.model.families import fingerprint_of
    from ..trainer.model.fingerprint import FIELD, weight_sample
    from ..trainer.model.source import CheckpointFile
    from .writer import write_checkpoint

    shape = PredictorShape.of_metadata(read_metadata(run), run.name)
    with TemporaryDirectory() as whole:
        source = CheckpointFile(write_checkpoint(Path(whole) / "base.safetensors"))
        base = {FIELD: json.dumps(weight_sample(source)), BASE: fingerprint_of(source)}
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{FILE}.tmp"
    said = {"format": "pt", "licence": "Apache-2.0", **base, **shape.metadata()}
    save_file(pack(load_file(run)), temporary, said)
    return temporary.replace(folder / FILE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/predictor.safetensors"))
    path = store_predictor(parser.parse_args().run)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
