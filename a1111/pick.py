"""The rare-token lookup for the tab's button."""

from __future__ import annotations

import uuid
from typing import Any

from ..trainer.prompts import checked_class_noun
from .asked import base_file
from .child import Child
from .host import jobs, models
from .host.memory import model_memory


def pick(class_noun: str, base: str, prediction: str = "") -> tuple[str, str]:
    """The word that means least to this base, and how it compares; waits in the WebUI's queue. Raises ValueError.

    base, prediction: as `Asked` has them.
    """
    noun, file = checked_class_noun(class_noun), base_file(base)
    words = ["identifier", "--events", f"--base={file}", f"--noun={noun}", f"--device={models.device()}"]
    words += [f"--prediction={prediction}"] if prediction else []
    found: list[dict[str, Any]] = []

    def take(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            jobs.show(f"DreamBooth: {event['what']}", event["done"], event["total"])
        if event["event"] == "result":
            found.append(event)

    with jobs.queued(f"task(dreambooth-{uuid.uuid4().hex[:8]})"), model_memory():
        child = Child(words)
        try:
            child.follow(take, lambda: jobs.interrupt() == "job")
        finally:
            child.end()
    if not found:
        raise ValueError("the lookup was interrupted.")
    return found[0]["identifier"], found[0]["report"]
