"""The WebUI's page and server, and the flags that it was started with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

# The one thing without which there is no extension.
from modules import script_callbacks

from .offered import call, offered

on_tabs: Callable[[Callable[[], Any]], None] = script_callbacks.on_ui_tabs


def on_started(add_routes: Callable[[Any, Any], None]) -> None:
    """Have it called with (page, server) when the WebUI's server runs."""
    call("modules.script_callbacks:on_app_started", add_routes)


def bind_to_txt2img(button: Any, parameters: Any) -> None:
    """Let a button put the generation parameters of a text component into txt2img and show that tab."""
    binding = offered("modules.infotext_utils:ParamBinding")
    register = offered("modules.infotext_utils:register_paste_params_button")
    if binding and register:
        register(binding(paste_button=button, tabname="txt2img", source_text_component=parameters))


def make_picture_folder() -> None:
    """Make the folder that the WebUI keeps shown pictures in; Forge Neo names one, and fails where it is not there."""
    if folder := offered("modules.shared:opts.temp_dir"):
        Path(folder).mkdir(parents=True, exist_ok=True)


def generators_work() -> bool:
    """Whether handlers may answer bit by bit."""
    return not offered("modules.shared:cmd_opts.no_gradio_queue", False)


def api_is_on() -> bool:
    """--api, or --nowebui, which is the API alone."""
    return bool(offered("modules.shared:cmd_opts.api", False) or offered("modules.shared:cmd_opts.nowebui", False))


def api_users() -> dict[str, str]:
    """--api-auth: {user: password}; empty where everybody may."""
    said = offered("modules.shared:cmd_opts.api_auth", "")
    return dict(pair.split(":", 1) for pair in said.split(",") if ":" in pair)
