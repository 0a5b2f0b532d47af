"""What a run tells, shown in ComfyUI: the node's bar and preview, events for the page, and the state behind them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import comfy.utils
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..trainer.events import (
    Event,
    Phase,
    Planned,
    PriorsCounted,
    Resumed,
    Sample,
    Saved,
    Scored,
    Step,
    Validated,
    Warned,
)
from ..trainer.runs.live_view import LiveRun, finite, finite_fields
from ..trainer.runs.run import Run
from ..trainer.wording import sentence_and_values
from .comfy_host import interrupted, output_folder

log = logging.getLogger("dreambooth")
LOG_EVERY_STEPS = 50
MOST_RUNS = 32
"""Runs of which the page can still ask; older ones are forgotten."""


@dataclass(eq=False)
class ShownRun:
    """One run on one node. prompt, workflow: the host's ids; samples: their folder as `/view` takes it; run: on disk,
    where it is a training.
    """

    node: str | None
    prompt: str | None
    workflow: str | None
    samples: str
    live: LiveRun
    stop_asked: bool = False
    kept: bool = False
    run: Run | None = None

    def state(self) -> dict[str, Any]:
        """Ready for JSON, with what the host knows of its prompt."""
        state = {**self.live.state(), **self.ending()}
        if state["status"] == "running" and self.prompt not in running_prompts():
            state["status"] = "ended"
        return {**self._ids(), "folder": self.samples, "stop_asked": self.stop_asked, **self._choices(state), **state}

    def _choices(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The run's name, and the steps that can be made its result: none before it has ended."""
        if self.run is None:
            return {"run": None, "choices": []}
        ended = state["status"] in ("finished", "kept")
        return {"run": self.run.folder.name, "choices": self.run.kept.steps() if ended else []}

    def ending(self) -> dict[str, str]:
        """Phase and status; "kept" is a run that Stop and keep ended, "stopped" one that was cancelled."""
        ending = self.live.ending()
        return {**ending, "status": "kept"} if self.kept and ending["status"] == "stopped" else ending

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Tell every page: one that was closed and opened again has a new client id."""
        PromptServer.instance.send_sync(f"dreambooth.{kind}", {**self._ids(), **data})

    def _ids(self) -> dict[str, str | None]:
        return {"node": self.node, "prompt": self.prompt, "workflow": self.workflow}


_shown: dict[str, ShownRun] = {}
"""The latest run of each node of each workflow."""


def shown_runs() -> list[ShownRun]:
    """The latest run of every node that ran in this process, the newest last."""
    return list(_shown.values())


def running_prompts() -> dict[str, str | None]:
    """The ids of the prompts that the host works on, and of the opened workflow that each came from."""
    running, _ = PromptServer.instance.prompt_queue.get_current_queue_volatile()
    return {item[1]: _opened_workflow(item[3]) for item in running}


def running_graph(prompt: str | None) -> dict[str, Any]:
    """{node: its class and inputs} of a prompt that the host works on; empty for another."""
    running, _ = PromptServer.instance.prompt_queue.get_current_queue_volatile()
    return next((dict(item[2]) for item in running if item[1] == prompt), {})


def newest_prompts() -> dict[str | None, str]:
    """{opened workflow: the id of its prompt that runs, or else of the one that ended last}."""
    queue = PromptServer.instance.prompt_queue
    with queue.mutex:
        ended = [entry["prompt"] for entry in queue.history.values()]
    return {_opened_workflow(prompt[3]): prompt[1] for prompt in ended} | {
        workflow: prompt for prompt, workflow in running_prompts().items()
    }


def show(live: LiveRun, run: Run | None = None) -> ShownRun:
    """Begin to show a run on the executing node. run: where its samples lie."""
    node, prompt, workflow = executing()
    samples = "" if run is None else (run.folder / "samples").relative_to(output_folder()).as_posix()
    kept = run is not None and run.record.get("status") == "kept"
    shown = ShownRun(node, prompt, workflow, samples, live, kept=kept, run=run)
    _shown.pop(key := f"{workflow}/{node}", None)
    _shown[key] = shown
    while len(_shown) > MOST_RUNS:
        _shown.pop(next(iter(_shown)))
    shown.send("began", {})
    return shown


def executing() -> tuple[str | None, str | None, str | None]:
    """The ids of the executing node, of its prompt and of the opened workflow that it came from."""
    context = get_executing_context()
    if context is None:
        return None, None, None
    return context.node_id, context.prompt_id, running_prompts().get(context.prompt_id)


class NodeProgress:
    """A listener for `personalize` and `complete`: call it with every event. Must be made while the node executes."""

    def __init__(self, steps: int, run: Run | None = None) -> None:
        self._shown = show(LiveRun(steps=steps), run)
        self._bar = comfy.utils.ProgressBar(steps, node_id=self._shown.node) if steps else None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._shown.live.on_event(event)
        match event:
            case Step():
                self._update()
                losses = {"instance": finite(event.instance), "prior": finite(event.prior)}
                self._shown.send("step", {**asdict(event), **losses, "seconds_left": finite(event.seconds_left)})
                if event.step % LOG_EVERY_STEPS == 0:
                    log.info("DreamBooth step %d of %d, %.0f s left", event.step, event.steps, event.seconds_left)
            case Sample():
                # No preview by the host's bar: the page would put it below the panel, which shows the sample already.
                self._shown.send("sample", self._shown.live.samples[-1])
            case Scored() | Validated():
                self._show_score(event)
            case Phase():
                self._shown.send("phase", {"phase": event.name})
            case Saved():
                self._shown.kept = self._shown.stop_asked and not interrupted()
                self._shown.send("saved", {"file": event.path.name, **self._shown.ending()})
                log.info("DreamBooth saved %s", event.path.name)
            case Resumed():
                self._shown.send("resumed", {"step": len(event.points)})
                log.info("DreamBooth goes on after step %d", len(event.points))
            case Planned() | Warned():
                self._say(event)
            case PriorsCounted():
                self._shown.send("priors", asdict(event))

    def _show_score(self, event: Scored | Validated) -> None:
        if isinstance(event, Validated):
            self._shown.send("validated", finite_fields(event))
            log.info("DreamBooth step %d: validation loss %.4f, base %.4f", event.step, event.loss, event.base)
            return
        self._shown.send("scored", finite_fields(event))
        log.info(
            "DreamBooth step %d: likeness %.3f, prompt following %.3f, class leak %.3f, variety %.3f",
            event.step, event.likeness, event.prompt_following, event.class_leak, event.variety,
        )  # fmt: skip

    def _say(self, event: Planned | Warned) -> None:
        if isinstance(event, Planned):
            self._shown.send("planned", {"text": event.text})
            log.info("DreamBooth: %s", event.text)
        else:
            self._shown.send("warned", {"warning": sentence_and_values(event.text)})
            log.warning(event.text)

    def stop(self) -> bool:
        """Cancel of the host, or Stop and keep once there is something to keep."""
        return interrupted() or (self._shown.stop_asked and self._shown.live.step > 0)

    @property
    def keeps(self) -> bool:
        """Whether the run was ended by Stop and keep, and by nothing else."""
        return self._shown.ending()["status"] == "kept" and not interrupted()

    def _update(self) -> None:
        if self._bar is not None:
            self._bar.update_absolute(self._shown.live.step)


def _opened_workflow(extra: dict[str, Any]) -> str | None:
    """The id that the page gave a workflow when it was opened: every copy of a template has the same `id`."""
    workflow = (extra.get("extra_pnginfo") or {}).get("workflow") or {}
    return (workflow.get("extra") or {}).get("dreambooth")
