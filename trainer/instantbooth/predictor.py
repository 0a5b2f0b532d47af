"""A predictor: the concept encoder and the adapters of one kind of base, and its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..files.safetensors import CheckpointError, listed, read_metadata, read_tensors, write_tensors
from .adapter import GatedAdapter
from .attachment import Shown, attached
from .encoder import ConceptEncoder
from .shape import PredictorShape


class Predictor(nn.Module):
    """The trained part of InstantBooth. shape: its sizes; `encoder` gives a subject's concept, `adapters` show it to
    the denoiser.
    """

    def __init__(self, shape: PredictorShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = ConceptEncoder(shape)
        # names of modules hold no dots
        self.layers = nn.ModuleDict(
            {_key(name): GatedAdapter(width, shape.widths[-1]) for name, width in shape.layers.items()}
        )

    @property
    def adapters(self) -> dict[str, GatedAdapter]:
        """{name of a transformer block in the denoiser: its adapter}."""
        return {name: cast(GatedAdapter, self.layers[_key(name)]) for name in self.shape.layers}

    @contextmanager
    def attached(self, denoiser: nn.Module) -> Iterator[Shown]:
        """A context in which a UNet of diffusers has the adapters; what they attend to is set in what it yields.

        Raises ValueError for a UNet of other blocks.
        """
        shown = Shown()
        with attached(denoiser, self.adapters, shown):
            yield shown

    def write(self, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
        """Write the weights in float16 with the shape in the metadata."""
        tensors = {name: value.detach().half().cpu().contiguous() for name, value in self.state_dict().items()}
        return write_tensors(tensors, path, {**(metadata or {}), **self.shape.metadata()})


def read_predictor(path: Path) -> Predictor:
    """The predictor in a file, frozen, in float32. Raises CheckpointError for another file."""
    shape = PredictorShape.of_metadata(read_metadata(path), path.name)
    return predictor_of(shape, read_tensors(path), path.name)


def predictor_of(shape: PredictorShape, tensors: Mapping[str, Tensor], name: str) -> Predictor:
    """A predictor of this shape with these weights, frozen. Raises CheckpointError where they do not fit. name: of
    their file.
    """
    with torch.device("meta"):
        predictor = Predictor(shape)
    wanted: dict[str, Any] = {key: tuple(value.shape) for key, value in predictor.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    if found != wanted:
        wrong = [key for key in {*found, *wanted} if found.get(key) != wanted.get(key)]
        raise CheckpointError(f"{name!r} is a damaged predictor: {listed(wrong)}.")
    predictor.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    return predictor.eval().requires_grad_(False)


def _key(name: str) -> str:
    return name.replace(".", "/")
