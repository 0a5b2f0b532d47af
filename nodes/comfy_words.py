"""Learned words in the host: which of them its text encoders take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..trainer.files.safetensors import read_shapes


def require_word_fits(clip: Any, file: Path) -> None:
    """Raises ValueError where a text encoder of the host's CLIP does not take the vectors in a file.

    The host reads the vectors under its own name of the encoder, and else the only ones there are; it passes over those
    of another width without an error.
    """
    shapes = read_shapes(file)
    wanted = {part.embedding_key: part.embedding_size for part in _tokenizers(clip)}
    if not wanted:
        raise ValueError("This CLIP takes no learned words: connect that of a Stable Diffusion 1, 2 or XL.")
    alone = next(iter(shapes.values()))[-1] if len(shapes) == 1 else None
    found = {key: shapes[key][-1] if key in shapes else alone for key in wanted}
    if found != wanted or len(shapes) > len(wanted):
        have = ", ".join(f"{key} of {shape[-1]} numbers" for key, shape in shapes.items())
        takes = ", ".join(f"{key} of {width}" for key, width in wanted.items())
        raise ValueError(
            f"{file.name!r} is a word of another kind of model: it holds {have}, and this CLIP takes {takes}."
        )


def _tokenizers(clip: Any) -> list[Any]:
    """The host's tokenizers of the text encoders that take learned words."""
    parts = vars(clip.tokenizer).values()
    return [part for part in parts if getattr(part, "embedding_key", None) and part.embedding_directory is not None]
