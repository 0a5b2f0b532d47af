"""The check of the machine for the tab's button: in the process, and with the libraries, that a training has."""

from __future__ import annotations

from .host import models
from .queued import queued_result


def check_report() -> str:
    """The report to paste; takes up to five minutes, in the WebUI's queue. Raises ValueError, ChildFailed."""
    report: str = queued_result(["check", f"--device={models.device()}"], "check")["report"]
    return report
