"""The rare-token lookup for the tab's button."""

from __future__ import annotations

from ..trainer.prompts import checked_class_noun
from .asked import base_file
from .host import models
from .queued import queued_result


def pick(class_noun: str, base: str, prediction: str = "") -> tuple[str, str]:
    """The word that means least to this base, and how it compares; waits in the WebUI's queue. Raises ValueError.

    base, prediction: as `Asked` has them.
    """
    noun, file = checked_class_noun(class_noun), base_file(base)
    words = ["identifier", f"--base={file}", f"--noun={noun}", f"--device={models.device()}"]
    words += [f"--prediction={prediction}"] if prediction else []
    found = queued_result(words, "lookup")
    return found["identifier"], found["report"]
