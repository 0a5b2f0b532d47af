"""DreamBooth for ComfyUI. Nothing is imported before ComfyUI asks for the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import DreamBoothExtension

WEB_DIRECTORY = "./web"
__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> DreamBoothExtension:
    """Return the extension that lists the nodes; ComfyUI calls this once, at its start."""
    # Not at the top: tests, tools and the WebUI import this package where no ComfyUI is.
    from .nodes import DreamBoothExtension
    from .nodes.comfy_routes import register

    register()
    return DreamBoothExtension()
