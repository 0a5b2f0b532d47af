"""The class nouns that fit the photos, for the tab's button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .asked import base_file
from .host import models
from .queued import queued_result
from .uploads import keep_files


def suggest(photos: Sequence[Path], base: str, prediction: str = "") -> list[dict[str, Any]]:
    """The nouns that fit these photos by this base's own answer, {"noun", "odds"}, the likeliest first; waits in the
    WebUI's queue. Raises ValueError.

    base, prediction: as `Asked` has them.
    """
    folder, file = keep_files(photos), base_file(base)
    words = ["suggest-noun", f"--base={file}", f"--photos={folder}", f"--device={models.device()}"]
    words += [f"--prediction={prediction}"] if prediction else []
    found: list[dict[str, Any]] = queued_result(words, "look at the photos")["nouns"]
    return found


def chip(noun: str, odds: float) -> str:
    """A suggestion as the tab offers it: "dog 52%"."""
    return f"{noun} {odds:.0%}" if odds >= 0.01 else f"{noun} <1%"


def noun_of(chosen: str) -> str:
    """The noun of such a chip."""
    return chosen.rpartition(" ")[0]
