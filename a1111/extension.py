"""What this pack adds to the WebUI."""

from __future__ import annotations

import logging
from typing import Any

from .host import page

log = logging.getLogger(__name__)


def register() -> None:
    """Have the WebUI call us when it builds its tabs and when its server runs."""
    page.on_tabs(_tab)
    page.on_started(_api)


def _tab() -> Any:
    """The tab; where this WebUI is one that it cannot be built in, a tab that says so."""
    try:
        # Not at the top: with --nowebui there is no interface to build.
        from .tab import build

        return build()
    # Whatever it is: the WebUI would leave the tab out, and say so in the console alone.
    except Exception as error:
        log.exception("The DreamBooth tab cannot be built")
        return _excuse(f"{type(error).__name__}: {error}")


def _excuse(why: str) -> Any:
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Markdown(
            f"DreamBooth does not run in this WebUI (`{why}`). Update the WebUI and the extension; the console says "
            "where it failed.",
            elem_id="dreambooth_failed",
        )
    return [(blocks, "DreamBooth", "dreambooth")]


def _api(_: Any, app: Any) -> None:
    if page.api_is_on():
        from .api import add_routes

        add_routes(app)
