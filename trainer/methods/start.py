"""Continuing the training of a result: of an adapter or a learned word, in a file of any program's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.adapter_kinds import DORA, LIDB, LOKR, PLAIN, adapter_kind
from ..files.safetensors import read_metadata, read_shapes
from ..options import TrainOptions
from ..options.setting import OptionError
from .lidb.start import is_lidb
from .lokr import start as lokr
from .lora import start as lora
from .textual_inversion import start as word

WORD_FILE = "dreambooth.word_file"
"""The metadata field that names the learned word of weights (see `runs.personalized`)."""


def require_continuable(file: Path, options: TrainOptions) -> None:
    """Check that training can continue from a file or folder. Raises OptionError where there is none, or where the
    options choose another method than made it; CheckpointError for a damaged file.
    """
    if not file.exists():
        raise OptionError(f"There is no LoRA or learned word {file.name!r} to continue from.")
    if file.is_file() and (own := read_metadata(file).get(WORD_FILE)):
        raise OptionError(
            f"{file.name!r} calls its subject by a word of its own, {own!r}, which a run cannot go on with: train it "
            "anew with more steps."
        )
    wanted, kind = _method_and_kind(file)
    # A LiDB's own LoRA is continued as either.
    as_lidb = options.method == "lidb" and wanted == "lora" and is_lidb(file)
    if options.method != wanted and not as_lidb:
        raise OptionError(
            f"method is {options.method!r}, and {file.name!r} is {kind}: only {wanted!r} can continue it."
        )


def _method_and_kind(file: Path) -> tuple[str, str]:
    """(method, kind of file with its article) of a file or folder to continue from, by the names of its tensors. The
    unknown is returned as a LoRA, and the LoRA reader raises the error.
    """
    if word.is_embedding(file):
        return "textual_inversion", "a learned word"
    kind = None if file.is_dir() else adapter_kind(read_shapes(file))
    return {DORA: ("dora", DORA), LOKR: ("lokr", LOKR), LIDB: ("lidb", LIDB)}.get(kind or "", ("lora", PLAIN))


def kept_settings(file: Path | None) -> dict[str, Any]:
    """The settings that a run takes over from what it continues, unless the user chooses others: the ranks of a LoRA
    or DoRA, the rank of a LoKr, none of a LiDB, or the number of a word's vectors. Empty without a file.

    Raises CheckpointError for any other file.
    """
    if file is None:
        return {}
    kept = {"textual_inversion": word.kept_settings, "lokr": lokr.kept_settings, "lidb": _nothing}
    return kept.get(_method_and_kind(file)[0], lora.kept_settings)(file)


def _nothing(file: Path) -> dict[str, Any]:
    """No settings."""
    return {}
