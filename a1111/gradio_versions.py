"""What Gradio 3.41 (Automatic1111) and 4.40 (Forge) call differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

NEW = int(gr.__version__.split(".")[0]) >= 4


def with_js(code: str) -> dict[str, Any]:
    """A handler that runs in the browser, as keywords of an event."""
    return {"fn": None, ("js" if NEW else "_js"): code}


def together() -> dict[str, Any]:
    """Keywords of an event whose handler may run for several browsers at once; 3.41 lets all."""
    return {"concurrency_limit": None} if NEW else {}


def file_path(file: Any) -> Path:
    """Where an uploaded file lies: a path in 4.40, an open file with a name in 3.41."""
    return Path(getattr(file, "name", file))
