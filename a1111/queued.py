"""A short command in the WebUI's queue, while the WebUI's own model makes room."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from .child import Child
from .host import jobs
from .host.memory import model_memory


def queued_result(words: Sequence[str], what: str) -> dict[str, Any]:
    """The result of a command that takes --events; its progress is the WebUI's.

    what: its name, for the message. Raises ValueError where it was interrupted, and what `Child` raises.
    """
    found: list[dict[str, Any]] = []

    def take(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            jobs.show(f"DreamBooth: {event['what']}", event["done"], event["total"])
        if event["event"] == "result":
            found.append(event)

    with jobs.queued(f"task(dreambooth-{uuid.uuid4().hex[:8]})"), model_memory():
        child = Child([*words, "--events"])
        try:
            child.follow(take, lambda: jobs.interrupt() == "job")
        finally:
            child.end()
    if not found:
        raise ValueError(f"the {what} was interrupted.")
    return found[0]
