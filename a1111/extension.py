"""What this pack adds to the WebUI."""

from __future__ import annotations

from typing import Any

from . import webui_host as host


def register() -> None:
    """Have the WebUI call us when it builds its tabs and when its server runs."""
    host.on_tabs(_tab)
    host.on_started(_api)


def _tab() -> Any:
    # Not at the top: with --nowebui there is no interface to build.
    from .tab import build

    return build()


def _api(_: Any, app: Any) -> None:
    if host.api_is_on():
        from .api import add_routes

        add_routes(app)
