"""What a run tells, shown in ComfyUI: the node's bar and preview, and events for the page."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import comfy.utils
import torch
from comfy_execution.utils import get_executing_context
from PIL import Image
from server import PromptServer

from ..trainer.events import Event, Phase, Resumed, Sample, Saved, Step, Warned

log = logging.getLogger("dreambooth")
PREVIEW_SIDE = 512
LOG_EVERY_STEPS = 50


class NodeProgress:
    """A listener for `personalize`: call it with every event. Must be made while the node executes."""

    def __init__(self, steps: int) -> None:
        context = get_executing_context()
        self._node = context.node_id if context else None
        self._bar = comfy.utils.ProgressBar(steps, node_id=self._node)
        self._step = 0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Step():
                self._step = event.step
                self._bar.update_absolute(event.step)
                self._send("step", asdict(event))
                if event.step % LOG_EVERY_STEPS == 0:
                    log.info("DreamBooth step %d of %d, %.0f s left", event.step, event.steps, event.seconds_left)
            case Sample():
                self._bar.update_absolute(self._step, None, ("JPEG", _preview(event.images), PREVIEW_SIDE))
                self._send("sample", {"step": event.step, "prompt": event.prompt})
            case Phase():
                self._send("phase", {"phase": event.name})
            case Resumed():
                self._send("resumed", {"points": [asdict(point) for point in event.points]})
                log.info("DreamBooth goes on after step %d", len(event.points))
            case Warned():
                self._send("warning", {"text": event.text})
                log.warning("DreamBooth: %s", event.text)
            case Saved():
                self._send("saved", {"file": event.path.name})
                log.info("DreamBooth saved %s", event.path.name)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        server = PromptServer.instance
        server.send_sync(f"dreambooth.{kind}", {"node": self._node, **data}, server.client_id)


def _preview(images: torch.Tensor) -> Image.Image:
    row = torch.cat(list(images), dim=2)
    return Image.fromarray((row.permute(1, 2, 0) * 255).round().byte().numpy())
