"""--base: what its headers say, its fingerprint, and the model itself, each read when it is first needed."""

from __future__ import annotations

import argparse
from functools import cached_property, partial

import torch

from ..trainer.files.kept_hashes import KeptHashes
from ..trainer.model.base import Base
from ..trainer.model.families import family_of, fingerprint_of, load_base, open_source, separate_files
from ..trainer.model.precision import forward_dtype
from ..trainer.model.source import CheckpointFile, Source
from .answer import say
from .device import chosen_device


class BaseModel:
    """The pretrained model of a command. hashes: kept from earlier runs. Raises CheckpointError for one of no known
    family.
    """

    def __init__(self, arguments: argparse.Namespace, hashes: KeptHashes | None = None) -> None:
        self._hashes = hashes
        self.source = named_source(arguments)
        self.device = chosen_device(arguments.device)
        self.family = family_of(self.source)
        self.prediction = self.family.prediction_type(self.source, arguments.prediction)
        self.dtype = forward_dtype("auto", self.device) or torch.float32
        """Of the denoiser's layers; a training says its own before the model is first used."""
        self.text_dtype = torch.float32
        """Of the text encoders' layers, in the same way."""
        self._loaded: Base | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights; reads the files, unless it is known from an earlier run, and builds no model."""
        if self._hashes is None or not isinstance(self.source, CheckpointFile):
            return fingerprint_of(self.source)
        return self._hashes.of(self.source.path, "fingerprint", partial(fingerprint_of, self.source))

    @property
    def live(self) -> Base:
        """The model on its device, loaded once."""
        if self._loaded is None:
            say(f"loading {self.source.name} on {self.device}")
            loaded = load_base(self.source, self.prediction, self.dtype, self.fingerprint, self.text_dtype)
            self._loaded = loaded.compute_on(self.device)
        return self._loaded

    def size(self, arguments: argparse.Namespace) -> tuple[int, int]:
        """Width and height in pixels: as asked for, or what the base was trained at."""
        width = arguments.width or arguments.height or self._resolution()
        return width, arguments.height or width

    def _resolution(self) -> int:
        # modelspec: "<width>x<height>".
        said = self.source.hints.get("resolution", "").split("x")[0]
        return int(said) if said.isdigit() else self.family.native_resolution(self.source, self.prediction)


def named_source(arguments: argparse.Namespace) -> Source:
    """What base, text_encoders and vae name together. Raises ValueError, CheckpointError."""
    if not (arguments.text_encoders or arguments.vae):
        return open_source(arguments.base)
    if not (arguments.base and arguments.text_encoders and arguments.vae):
        raise ValueError("--text-encoders and --vae go together, beside a base that is a denoiser alone")
    return separate_files(arguments.base, arguments.text_encoders, arguments.vae)
