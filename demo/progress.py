"""Shows what a prompt does: a bar for each node, its phase, and the time that is left."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

from .messages import Message
from .workflow import Prompt

# Nodes quicker than this get no bar.
SHOWN_AFTER_SECONDS = 1.0


class Progress:
    """A listener for `ComfyUI.run`; `seconds` says how long each node took, by title."""

    def __init__(self, prompt: Prompt, label: str = "") -> None:
        self.seconds: dict[str, float] = {}
        self.trained_steps = 0
        self._titles = {number: node["_meta"]["title"] for number, node in prompt.items()}
        self._label = label
        self._title = ""
        self._began = time.perf_counter()
        self._bar: tqdm[Any] | None = None

    def __call__(self, message: Message) -> None:
        """Show one message."""
        data = message.data
        if message.kind == "executing":
            self._enter(self._titles.get(str(data.get("node")), ""))
        elif message.kind == "progress":
            self._advance(int(data["value"]), int(data["max"]))
        elif message.kind == "dreambooth.phase":
            self._describe(data["phase"])
        elif message.kind == "dreambooth.step":
            self.trained_steps += 1
            self._loss(data["instance"], data["prior"])
        elif message.kind.startswith("execution_") and message.kind not in ("execution_start", "execution_cached"):
            self._enter("")

    def _enter(self, title: str) -> None:
        now = time.perf_counter()
        if self._title:
            self.seconds[self._title] = self.seconds.get(self._title, 0.0) + now - self._began
        self._title, self._began = title, now
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _advance(self, value: int, total: int) -> None:
        bar = self._bar or self._new_bar(total)
        bar.total = total
        bar.update(value - bar.n)

    def _new_bar(self, total: int) -> tqdm[Any]:
        self._bar = tqdm(
            total=total,
            desc=f"{self._label}{self._title}",
            file=sys.stdout,
            delay=SHOWN_AFTER_SECONDS,
            mininterval=0.3 if sys.stdout.isatty() else 10,
            bar_format="{desc}: {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt}, {remaining} left{postfix}",
        )
        return self._bar

    def _describe(self, phase: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(f"{self._label}{self._title}, {phase}", refresh=sys.stdout.isatty())
        else:
            print(f"{self._label}{self._title}: {phase} ...", flush=True)

    def _loss(self, instance: float, prior: float | None) -> None:
        if self._bar is not None:
            beside = "" if prior is None else f", prior {prior:.3f}"
            self._bar.set_postfix_str(f"loss {instance:.3f}{beside}", refresh=False)
