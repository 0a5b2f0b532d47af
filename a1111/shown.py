"""A training as the tab shows it: HTML, a curve, pictures, and the prompt that draws the subject."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from ..trainer.options.choices import ADAPTERS
from .asked import Asked
from .host import models
from .job import Job
from .looks import Look
from .loss_svg import loss_svg, score_svg

STATUS = {
    "waiting": "Waiting in the queue",
    "running": "Running",
    "finished": "Finished",
    "stopped": "Stopped, and what was trained is saved",
    "failed": "Failed",
}


STOPPING = "Stopping"
TRACK, FILLED = "rgba(128,128,128,.25)", "#2563eb"
WRONG = "dreambooth-wrong"
"""The class of what a user has to change, in style.css."""


def mistake_html(text: str) -> str:
    """What a user has to change, read out at once; "" where there is nothing.

    No two are the same text: a page leaves what it has where it is sent once more, and may have hidden it.
    """
    said = time.monotonic_ns()
    return f'<p role="alert" class="{WRONG}" data-said="{said}">{escape(_as_sentence(text))}</p>' if text else ""


def _as_sentence(text: str) -> str:
    """With a capital, where it does not begin with a file or the name of a setting."""
    first = text.partition(" ")[0]
    return text[0].upper() + text[1:] if first.rstrip(",:").isalpha() else text


def lacking_html(sentences: Iterable[str]) -> str:
    """What does not work in this WebUI."""
    return "".join(f"<p>Note: {escape(sentence)}</p>" for sentence in sentences)


def status_html(job: Job | None, unfinished: Asked | None = None) -> str:
    """How far it is; read out by screen readers when it changes. unfinished: without a job, what can be resumed."""
    if job is None:
        return f'<div role="status">{_before(unfinished)}</div>'
    said = f"<b>{STOPPING if job.stopping else STATUS[job.status]}</b>"
    if job.status == "stopped" and job.result is None:
        said = "<b>Stopped before the first step; nothing is saved</b>"
    if job.doing:
        said += f": {escape(job.doing)}"
    notes = f'<p role="alert" class="{WRONG}">{escape(job.error)}</p>' if job.error else ""
    notes += "".join(f"<p>Note: {escape(warning)}</p>" for warning in job.warnings)
    notes += f"<p>{escape(job.plan)}</p>" if job.plan else ""
    # Numbers that change all the time are not read out.
    return f'<div role="status" aria-live="polite">{said}{_result(job)}</div>{_progress(job)}{notes}'


def _before(unfinished: Asked | None) -> str:
    if unfinished is None:
        return "No training yet. Drop 3 to 5 photos and say what the subject is."
    name, noun = escape(unfinished.name), escape(unfinished.class_noun)
    return (
        f"The last training, <b>{name}</b> ({noun}), did not come to its end: <b>Resume the last</b> goes on with it."
    )


def lost_html() -> str:
    """What a page says whose connection is broken, hidden until it is. Gradio 4.40 never opens another on that page."""
    anew = '<a href="" onclick="location.reload(); return false">load the page anew</a>'
    text = (
        "The WebUI does not answer, and what is shown here may be old; it is asked again every few seconds. Where it "
        f"runs and this sentence stays, {anew}: the form and the training are kept."
    )
    return f'<p role="alert" hidden class="{WRONG}">{text}</p>'


def beat_html(job: Job | None) -> str:
    """Nothing to see: by it the page knows that a view is new, and whether there will be another."""
    over = job is None or job.over
    return f'<span hidden data-view="{time.monotonic_ns()}" data-over="{"over" if over else ""}"></span>'


def _progress(job: Job) -> str:
    if not job.total or job.over:
        return ""
    counted = f"{job.done} of {job.total}{_time_left(job)}"
    bar = (
        f'<div role="progressbar" aria-label="progress" aria-valuemin="0" aria-valuemax="{job.total}" '
        f'aria-valuenow="{job.done}" style="height:.5em;border-radius:.25em;overflow:hidden;background:{TRACK}">'
        f'<div style="height:100%;width:{100 * job.done / job.total:.1f}%;background:{FILLED}"></div></div>'
    )
    return f"<div>{counted}{bar}</div>"


def _result(job: Job) -> str:
    if job.result is None:
        return ""
    found = "<p>The same training was finished before, and nothing had to be trained again.</p>"
    file, trigger = escape(Path(job.result["file"]).name), escape(job.result["trigger"])
    said = f"<p>Saved as <code>{file}</code>. Say <code>{trigger}</code> in a prompt.</p>"
    choice = f"<p>Chosen: {escape(job.result['choice'])}.</p>" if job.result.get("choice") else ""
    return (found if job.result["found"] else "") + said + choice + _findings(job.result.get("findings", []))


def _findings(sentences: Iterable[str]) -> str:
    """What probably went wrong in the training."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<p>What probably went wrong:</p><ul>{items}</ul>" if items else ""


def curve_html(job: Job | None) -> str:
    """The loss curve, and the scores below it."""
    if job is None or not job.points:
        return ""
    steps = max(job.steps, job.points[-1][0])
    return loss_svg(job.points, steps) + score_svg(job.scores, steps)


def parameters(job: Job | None) -> str:
    """Generation parameters, as the WebUI writes them under its pictures; "" without a result."""
    if job is None or job.result is None:
        return ""
    result, file = job.result, Path(job.result["file"])
    lora = result["method"] in ADAPTERS
    prompt = result["trigger"] + (f" <lora:{file.stem}:1>" if lora else "")
    drawn_by = file if result["method"] == "full" else models.checkpoint_file(job.asked.base)
    # Nothing, where the base was removed since.
    model = models.checkpoint_names(drawn_by) if drawn_by else {}
    settings = {"Steps": "20", "Size": f"{result['width']}x{result['height']}", **model}
    return f"{prompt}\n{', '.join(f'{name}: {_quoted(value)}' for name, value in settings.items())}"


def _quoted(value: str) -> str:
    """As the WebUI does, which takes commas and colons for its own."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",:\n") else value


def faults_html(looks: Iterable[Look], leave_out: str) -> str:
    """Which photos cannot be used, and why; then what speaks against the others. leave_out: how a file is taken out."""
    looks, against = list(looks), defaultdict[str, list[str]](list)
    for one in looks:
        for fault in one.advice:
            against[fault.why].append(one.name)
    bad = "".join(f"<li>{escape(one.fault)}</li>" for one in looks if one.fault)
    advice = "".join(f"<li><b>{escape(', '.join(names))}</b>: {escape(why)}</li>" for why, names in against.items())
    alert = f'<ul role="alert" class="{WRONG}">{bad}</ul><p>{escape(leave_out)}</p>' if bad else ""
    return alert + (f'<ul role="status">{advice}</ul>' if advice else "")


def subjects_html(subjects: list[dict[str, Any]]) -> str:
    """A list of what was trained before."""
    if not subjects:
        return "<p>Nothing was trained here yet.</p>"
    return f"<ul>{''.join(_subject(subject) for subject in subjects)}</ul>"


def _subject(subject: dict[str, Any]) -> str:
    facts = (
        subject["method"],
        f"{subject['steps']} steps",
        subject["status"],
        f"{subject['photos']} photos",
        f"{subject['priors']} class images",
        subject["when"],
    )
    settings = "".join(f"<li>{escape(f'{name}: {value}')}</li>" for name, value in subject["settings"].items())
    return (
        f'<li style="margin-bottom:.8em"><b>{escape(subject["trigger"])}</b> '
        f"{escape(subject['file'] or '(its file is gone)')}<br>{escape(', '.join(facts))}"
        f"<details><summary>settings</summary><ul>{settings}</ul></details></li>"
    )


def _time_left(job: Job) -> str:
    if job.doing != "training" or job.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(job.seconds_left), 60)
    return f", about {f'{minutes} min {seconds} s' if minutes else f'{seconds} s'} left"
