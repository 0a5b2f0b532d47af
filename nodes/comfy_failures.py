"""The latest failure of each node, for its panel: sent to the page when it happens, and listed by `failures`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from comfy.model_management import InterruptProcessingException
from server import PromptServer

from .comfy_progress import executing, newest_prompts

MOST_FAILURES = 64
"""Nodes whose latest failure is kept; older ones are forgotten."""
_latest: dict[str, dict[str, str]] = {}
"""By workflow and node."""


def failures() -> list[dict[str, str]]:
    """Every node that failed in the newest prompt of its workflow: {"node", "prompt", "workflow", "error"}.

    What a later prompt answers from the host's cache does not run again, and has not failed.
    """
    newest = newest_prompts()
    return [one for one in _latest.values() if newest.get(one["workflow"], one["prompt"]) == one["prompt"]]


def recording_failures(execute: Callable[..., Any]) -> Callable[..., Any]:
    """A node's `execute`; a failure is kept, sent to the page and raised again, and the node's next run forgets it.

    An interruption by the user is no failure.
    """

    @wraps(execute)
    def recorded(*given: Any, **named: Any) -> Any:
        node, prompt, workflow = executing()
        _latest.pop(key := f"{workflow}/{node}", None)
        try:
            return execute(*given, **named)
        except InterruptProcessingException:
            raise
        except Exception as error:
            if node and prompt and workflow:
                said = str(error) or type(error).__name__
                _keep(key, {"node": node, "prompt": prompt, "workflow": workflow, "error": said})
            raise

    return recorded


def _keep(key: str, failure: dict[str, str]) -> None:
    _latest[key] = failure
    while len(_latest) > MOST_FAILURES:
        _latest.pop(next(iter(_latest)))
    PromptServer.instance.send_sync("dreambooth.failed", failure)
