"""A subject's word and patch features, predicted from photos: two small files, and no training.

The word is an ordinary embedding, which every host reads; the features are for the adapters, in a host that shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..files.hashes import file_sha256
from ..files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from ..methods.textual_inversion.file import embedding_tensors
from ..model.families import family_named
from ..model.fingerprint import FIELD
from ..runs.personalized import Personalized, word_name
from ..runs.store import Store
from ..subject.photos import Photo
from .augmentation import at_side, masked
from .encoder import Concept
from .predictor import Predictor

METHOD = "instantbooth"
"""The method of a result that was predicted (see `Personalized`)."""
BASE = "dreambooth.base"
"""The metadata field of a predictor's file: the fingerprint of the base that it was trained on."""
PATCHES, PREDICTOR, FOLDER = "patches", "dreambooth.predictor_sha256", "predicted"
"""The tensor of a file of features, the metadata field of what predicted it, and the folder of such files."""


@dataclass(frozen=True)
class KnownPredictor:
    """A predictor and what its results say of it. digest: of its file. metadata: of its file, such as a sample of the
    base's weights.
    """

    predictor: Predictor
    digest: str
    metadata: Mapping[str, str]

    @classmethod
    def of_file(cls, path: Path) -> KnownPredictor:
        """The predictor in a file that the command train-predictor wrote. Raises CheckpointError."""
        from .predictor import read_predictor

        return cls(read_predictor(path), file_sha256(path), read_metadata(path))


@torch.no_grad()
def predict(predictor: Predictor, photos: Sequence[Photo], nouns: Mapping[str, Tensor]) -> Concept:
    """The concept (B = 1) of a subject from one photo or more, of which masks leave the surroundings out.

    nouns: {text encoder: the vector of the class noun [width]}. Raises CheckpointError for vectors of another kind of
    model.
    """
    found = {name: vector.shape[-1] for name, vector in nouns.items()}
    if found != dict(predictor.shape.words):
        raise CheckpointError(
            f"The predictor is made for words of {dict(predictor.shape.words)}, and this model's are {found}: take one "
            "that was trained on this kind of model."
        )
    seen = torch.stack([_seen(photo, predictor.shape.photo) for photo in photos])
    first = next(predictor.parameters())
    concept: Concept = predictor.encoder(
        seen[None].to(first.device), {name: vector[None].to(first.device) for name, vector in nouns.items()}
    )
    return concept


def write_prediction(store: Store, known: KnownPredictor, concept: Concept, name: str, noun: str) -> Personalized:
    """Write a concept as a new word in the store's folder of embeddings, with its features in the work folder.

    name: of the word's file, without number. noun: the class noun.
    """
    family, base = family_named(known.predictor.shape.family), known.metadata.get(BASE, "")
    with store.new_file("embeddings", word_name(name)) as path:
        result = Personalized(path, METHOD, path.stem, noun, base, 0, 0, store.word)
        vectors = {encoder: rows[0] for encoder, rows in concept.words.items()}
        said = {key: value for key, value in known.metadata.items() if key == FIELD}
        features = {PATCHES: concept.patches[0].detach().half().cpu().contiguous()}
        write_tensors(features, features_file(store, path), {PREDICTOR: known.digest})
        write_tensors(embedding_tensors(family, vectors, path.stem), path, {**result.metadata(), **said})
    return result


def features_file(store: Store, word: Path) -> Path:
    """The file of the features that belong to a predicted word's file."""
    return store.work / FOLDER / word.name


def predictor_digest(store: Store, result: Personalized) -> str:
    """The SHA-256 (hex) of the predictor's file that predicted a result. Raises CheckpointError where the features are
    missing.
    """
    return read_metadata(features_file(store, result.file)).get(PREDICTOR, "")


def read_features(store: Store, result: Personalized, known: KnownPredictor) -> Tensor:
    """The patch features [M, C] of a predicted result. Raises CheckpointError where they are missing, or of another
    predictor.
    """
    tensors = read_tensors(features_file(store, result.file))
    if predictor_digest(store, result) != known.digest or tensors.keys() != {PATCHES}:
        raise CheckpointError(
            f"{result.file.name!r} was predicted by another predictor than this: predict it again, or choose that one."
        )
    return tensors[PATCHES].float()


@contextmanager
def shown(denoiser: nn.Module, predictor: Predictor, patches: Tensor, strength: float, rows: int) -> Iterator[None]:
    """A context in which the adapters show patch features [M, C] to the first `rows` rows of every forward; the others
    are the base's. strength: β, 0 for the base.
    """
    with predictor.attached(denoiser) as attended:
        attended.patches, attended.strength = patches.expand(rows, -1, -1), strength
        yield


def _seen(photo: Photo, side: int) -> Tensor:
    """A photo as the encoder takes it: [3, side, side] in -1..1, masked."""
    pixels = photo.pixels.float()[None] * 2 - 1
    mask = None if photo.mask is None else photo.mask.float()[None, None]
    return at_side(masked(pixels, mask)[0], side)
