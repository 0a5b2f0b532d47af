"""The user's choice among the kept steps of the newest training: another of them as its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..trainer.runs.run import Run, open_run
from . import desk
from .cards import preview, write_card
from .child import Child
from .host import models
from .job import Job, step_of


def choosable(job: Job | None) -> list[int]:
    """The steps that can be made the result of a training that is over: its result, and those with a file."""
    if job is None or not job.over or job.result is None:
        return []
    return sorted({*_run(job).kept.steps(), job.result["steps"]})


def file_of(job: Job, step: int) -> str:
    """The name, without its ending, of the file that was saved at a step; "" where none was."""
    files = _run(job).record.get("files", []) if job.result else []
    return next((Path(file["file"]).stem for file in files if file["step"] == step), "")


def choose(step: int) -> dict[str, Any]:
    """Make a step the result of the newest training; its new result. In a process of its own, but not in the WebUI's
    queue: it computes nothing. Raises ValueError, ChildFailed.
    """
    job = desk.newest()
    steps = choosable(job)
    if job is None or job.result is None or not steps:
        raise ValueError("no training is over whose result could be chosen: wait for its end, or stop and keep it.")
    if step not in steps:
        raise ValueError(f"step {step} has no file; those that can be chosen are {', '.join(map(str, steps))}.")
    chosen = _chosen(Path(job.result["run"]).name, step)
    job.result = {**job.result, "file": chosen["file"], "steps": step, "choice": chosen["choice"]}
    picture = next((picture for picture, text in reversed(job.samples) if step_of(text) == step), None)
    write_card(job.result, preview([picture] if picture else [], job.asked.photos))
    job.warnings.extend(models.refresh_lists())
    return job.result


def _run(job: Job) -> Run:
    assert job.result is not None
    return open_run(Path(job.result["run"]).name, models.store())


def _chosen(run: str, step: int) -> dict[str, Any]:
    """What the command `choose` answers."""
    store = models.store()
    folders = {"output": store.work.parent, "loras": store.loras, "checkpoints": store.checkpoints}
    flags = {**folders, "embeddings": store.embeddings, "word": store.word}
    found: list[dict[str, Any]] = []
    child = Child(["choose", run, f"--step={step}", "--events", *(f"--{name}={at}" for name, at in flags.items())])
    try:
        child.follow(lambda event: found.append(event) if event["event"] == "result" else None, lambda: False)
    finally:
        child.end()
    return found[0]
