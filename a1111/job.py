"""One training in the WebUI's queue, and what is known of it while it runs."""

from __future__ import annotations

import base64
import io
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from ..command_line.flags import IF_BEGUN
from .asked import Asked
from .cards import preview, write_card
from .child import Child, ChildFailed
from .host import jobs, models
from .host.memory import model_memory
from .kept_jobs import keep
from .kept_run import kept_points, kept_samples, kept_scores
from .loss_svg import Point

Status = Literal["waiting", "running", "finished", "stopped", "failed"]
FOR_A_PICTURE = (
    "Interrupt was pressed while a picture waits in the queue, so it was taken for the picture's, and the training "
    "goes on. Stop and keep ends the training."
)


def sample_text(step: int) -> str:
    """What stands below a sample."""
    return f"step {step}"


def step_of(text: str) -> int:
    """The step of a sample, by what stands below it."""
    return int(text.rpartition(" ")[2])


@dataclass
class Job:
    """Read by the tab and the API from other threads; only its own thread changes it.

    done, total: of what it is doing; steps: of the whole training.
    points: (step, instance loss, prior loss or None). scores: the fields of `Scored`, by step.
    samples: (picture, what it is). files: all that were written.
    result: as `train --json` says it.
    """

    asked: Asked
    resume: bool = False
    id: str = field(default_factory=lambda: f"task(dreambooth-{uuid.uuid4().hex[:8]})")
    status: Status = "waiting"
    doing: str = "waiting in the WebUI's queue"
    done: int = 0
    total: int = 0
    steps: int = 0
    seconds_left: float | None = None
    points: list[Point] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    samples: list[tuple[Image.Image, str]] = field(default_factory=list)
    plan: str = ""
    warnings: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: str = ""
    files: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    _sampled: set[int] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Join the queue, in a thread of its own."""
        keep(self.asked, self.id, "waiting")
        threading.Thread(target=self._run, name="dreambooth", daemon=True).start()

    def stop(self) -> None:
        """End it after the step that it is at; what was trained is saved."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop and has not ended yet."""
        return self._stop.is_set() and not self.over

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("finished", "stopped", "failed")

    def _run(self) -> None:
        status: Status = "failed"
        try:
            with jobs.queued(self.id):
                if not self._stop.is_set():
                    self.status = "running"
                    self._train()
                status = "finished" if self.result and self.result["status"] == "finished" else "stopped"
        # Whatever it is, the tab has to show it: nobody waits for this thread.
        except Exception as error:
            self.error = str(error)
            if not isinstance(error, ChildFailed | ValueError | OSError):
                raise
        finally:
            self._despite_the_disk(lambda: keep(self.asked, self.id, status))
            self.doing, self.status = "", status

    def _despite_the_disk(self, write: Callable[[], None]) -> None:
        """What cannot be written beside a result is a note on it, and no end of it."""
        try:
            write()
        except OSError as error:
            self.warnings.append(f"not written: {error}")

    def _train(self) -> None:
        self.doing = "making room for the training"
        try:
            with model_memory():
                # One that was stopped before its first step is begun, with the class images that it has.
                self._follow(Child([*self.asked.words(), *([f"--resume={IF_BEGUN}"] if self.resume else [])]))
        finally:
            if result := self.result:
                samples = [picture for picture, _ in self.samples]
                self._despite_the_disk(lambda: write_card(result, preview(samples, self.asked.photos)))
            if self.files:
                self.warnings.extend(models.refresh_lists())

    def _follow(self, child: Child) -> None:
        self.doing = "loading"
        try:
            child.follow(self._take, self._told_to_stop)
        finally:
            child.end()

    def _told_to_stop(self) -> bool:
        match jobs.interrupt():
            case "job":
                self.stop()
            case "picture" if FOR_A_PICTURE not in self.warnings:
                self.warnings.append(FOR_A_PICTURE)
        return self._stop.is_set()

    def _take(self, event: dict[str, Any]) -> None:
        """Note one event, and show it in the WebUI."""
        match event["event"]:
            case "phase":
                self._now(event["name"], 0, 0)
            case "progress":
                self._now(event["what"], event["done"], event["total"])
            case "step" | "resumed" | "scored":
                self._note_curve(event)
            case "sample":
                self._note_sample(event)
            case "planned":
                self.plan = event["text"]
            case "warned":
                self.warnings.append(event["text"])
            case "saved":
                self.files.append(event["file"])
            case "result":
                self.result = event
                self._take_kept(Path(event["run"]))

    def _note_curve(self, event: dict[str, Any]) -> None:
        """Note what is drawn by step."""
        match event["event"]:
            case "step":
                self._note_step(event)
            case "resumed":
                self.points = [(p["step"], p["instance"], p["prior"]) for p in event["points"]]
            case "scored":
                self.scores = [one for one in self.scores if one["step"] < event["step"]] + [event]

    def _note_step(self, event: dict[str, Any]) -> None:
        self.points.append((event["step"], event["instance"], event["prior"]))
        self.steps, self.seconds_left = event["steps"], event["seconds_left"]
        self._now("training", event["step"], event["steps"])

    def _take_kept(self, folder: Path) -> None:
        """A run that was found, or gone on with, has pictures and losses that this job was not told of."""
        self.points, self.scores = kept_points(folder), kept_scores(folder)
        before = [(picture, sample_text(step)) for step, picture in kept_samples(folder) if step not in self._sampled]
        self.samples[:0] = before

    def _note_sample(self, event: dict[str, Any]) -> None:
        self._sampled.add(event["step"])
        for picture in event["pictures"]:
            image = Image.open(io.BytesIO(base64.b64decode(picture)))
            image.load()
            self.samples.append((image, sample_text(event["step"])))
            jobs.show_picture(image)

    def _now(self, doing: str, done: int, total: int) -> None:
        self.doing, self.done, self.total = doing, done, total
        jobs.show(f"DreamBooth: {doing}", done, total)
