"""What `train` answers with."""

from __future__ import annotations

from typing import Any

from ..trainer.runs.explanation import changes_of, explain, is_explainable
from ..trainer.runs.personalized import Personalized
from ..trainer.runs.request import Request
from ..trainer.runs.run import Run


def described(request: Request, result: Personalized, run: Run, found: bool, seconds: float) -> dict[str, Any]:
    """What is known of a result, ready for JSON. found: whether it was on disk before. seconds: of this command."""
    record = run.record
    last = record["losses"][-1]
    return {
        "status": record["status"],
        "found": found,
        "file": str(result.file.resolve()),
        "trigger": result.trigger,
        "identifier": result.identifier,
        "class_noun": result.class_noun,
        "method": result.method,
        "steps": result.steps,
        "seconds": round(seconds, 3),
        "seconds_of_training": record["seconds"]["training"],
        "steps_per_second": record["steps_per_second"],
        "choice": record.get("choice", ""),
        "loss": last["instance"],
        "prior_loss": last["prior"],
        "priors": record["priors"],
        "width": request.subject.width,
        "height": request.subject.height,
        "sizes": [[*size, count] for size, count in request.subject.sizes.items()],
        "base": record["base"],
        "run": str(run.folder.resolve()),
        "settings": record["settings"],
        **_explained(record),
    }


def _explained(record: dict[str, Any]) -> dict[str, Any]:
    """What probably went wrong, in sentences, and the settings of a next run; empty for a run of an earlier release."""
    found = explain(record) if is_explainable(record) else []
    return {"findings": [f"{one.what} {one.advice}" for one in found], "changes": changes_of(found)}
