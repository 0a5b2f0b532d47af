"""What nodes have shown on their panels, for pages that missed it: of what the host has cached it tells nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .comfy_progress import executing

MOST_OUTPUTS = 64
"""Nodes whose latest output is kept; older ones are forgotten."""


@dataclass(frozen=True)
class ShownOutput:
    """ui: as the host sends it to the page. inputs: those that it holds for."""

    node: str
    workflow: str
    ui: dict[str, Any]
    inputs: dict[str, Any]


_latest: dict[str, ShownOutput] = {}
"""By workflow and node."""


def shown_outputs() -> list[ShownOutput]:
    """The latest of every node that ran in this process, the newest last."""
    return list(_latest.values())


def keep_shown(ui: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """Keep what the executing node shows, and hand it back; a prompt that comes from no workflow has no page."""
    node, _, workflow = executing()
    if node and workflow:
        _latest.pop(key := f"{workflow}/{node}", None)
        _latest[key] = ShownOutput(node, workflow, ui, inputs)
        while len(_latest) > MOST_OUTPUTS:
            _latest.pop(next(iter(_latest)))
    return ui
