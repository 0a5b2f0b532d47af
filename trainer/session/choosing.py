"""The choice of a run's result by its user, among the steps whose files were kept for the scores."""

from __future__ import annotations

from ..methods.registry import METHODS
from ..runs.personalized import Personalized
from ..runs.run import DONE, Run, RunInUse, relative
from .saving import save_chosen


class NotChosen(ValueError):
    """A step that cannot be made a run's result; the message says why."""


def choose_step(run: Run, step: int) -> Personalized:
    """Make the weights after `step` steps the result of a run that has ended; returns it. Its file says in its metadata
    that the user chose it.

    The earlier result stays where it is. Raises NotChosen for a run that is in progress or not finished, and for a step
    that has no file.
    """
    try:
        with run.alone():
            return _chosen(run, step)
    except RunInUse as error:
        raise NotChosen("This run is being trained right now: wait for its end, or stop and keep it.") from error


def _chosen(run: Run, step: int) -> Personalized:
    """The result; the run's lock is held."""
    if run.record.get("status") not in DONE:
        raise NotChosen("This run is not finished: train it to its end, or stop and keep it, and choose then.")
    now = run.file()
    if now is not None and now.steps == step:
        return now
    kept = run.kept.file_of(step)
    if kept is None:
        raise NotChosen(f"Step {step} has no file in this run; those that can be chosen are {run.kept.steps()}.")
    folders = {str(name): kind.folder for name, kind in METHODS.items()}
    if kept.method not in folders:
        raise NotChosen(f"Step {step} was trained by {kept.method[:40]!r}, which this version does not know.")
    result = save_chosen(kept, folders[kept.method], run, run.record["name"], _reason(run, step))
    file = relative(result.file, run.store)
    # The newest entry is the result: one that was chosen before comes last again.
    run.write(files=[entry for entry in run.record.get("files", []) if entry["file"] != file])
    run.add_file(result)
    run.write(choice=_reason(run, step))
    return result


def _reason(run: Run, step: int) -> str:
    """Why this step is the result, in one sentence."""
    scores = run.scores()
    by_scores = scores[-1].chosen if scores else None
    chose = "chose none" if by_scores is None else f"chose step {by_scores}"
    return f"step {step}, chosen by the user; the scores {chose}"
