"""The user's choice of a run's result in the page, and how the host learns that a cached result is another one now."""

from __future__ import annotations

from ..trainer.runs.past_runs import runs
from ..trainer.runs.personalized import Personalized
from .comfy_cards import write_card
from .comfy_host import store
from .comfy_progress import shown_runs

_made: list[str] = []
"""The files of all choices in this process, in order."""


def choices_made() -> int:
    """The number of choices in this process: with another one, a node that trains looks its result up anew."""
    return len(_made)


def choose(run: str, step: int) -> Personalized:
    """Make a kept step the result of the run with this folder's name; returns it. Raises NotChosen."""
    from ..trainer.session.choosing import NotChosen, choose_step

    found = next((one for one in runs(store()) if one.folder.name == run), None)
    if found is None:
        raise NotChosen(f"There is no run {run[:40]!r} here; load the page anew.")
    result = choose_step(found, step)
    write_card(result, found)
    _made.append(result.file.name)
    for shown in shown_runs():
        if shown.run is not None and shown.run.key == found.key:
            shown.live.file, shown.live.result_step = result.file.name, step
    return result
