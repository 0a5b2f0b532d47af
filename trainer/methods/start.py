"""Continuing the training of a result: of a LoRA or a learned word, in a file of any program's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..options import TrainOptions
from ..options.setting import OptionError
from .lora import start as lora
from .textual_inversion import start as word


def require_continuable(file: Path, options: TrainOptions) -> None:
    """Check that training can continue from a file or folder. Raises OptionError where there is none, or where the
    options choose another method than made it; CheckpointError for a damaged file.
    """
    if not file.exists():
        raise OptionError(f"There is no LoRA or learned word {file.name!r} to continue from.")
    wanted = "textual_inversion" if word.is_embedding(file) else "lora"
    if options.method != wanted:
        kind = "a LoRA" if wanted == "lora" else "a learned word"
        raise OptionError(
            f"method is {options.method!r}, and {file.name!r} is {kind}: only {wanted!r} can continue it."
        )


def kept_settings(file: Path | None) -> dict[str, Any]:
    """The settings that a run takes over from what it continues, unless the user chooses others: a LoRA's highest rank,
    or the number of a word's vectors. Empty without a file.

    Raises CheckpointError for a file that is neither.
    """
    if file is None:
        return {}
    return word.kept_settings(file) if word.is_embedding(file) else lora.kept_settings(file)
