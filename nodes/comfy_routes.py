"""Every HTTP route of the pack, in one table; the host serves each below `/api` too.

A page of a foreign origin is refused, bodies are small JSON objects, and names are only looked up among those that
there are: no path comes from outside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from server import PromptServer

from ..trainer.runs.history import delete_result, history
from ..trainer.subject.beside_photos import write_beside
from ..trainer.subject.buckets import TrainingSize
from ..trainer.subject.captions import require_inside
from ..trainer.subject.photo_edits import parsed_edits
from ..trainer.subject.photo_report import photo_report
from ..trainer.subject.removed_photos import photo_named, put_aside
from ..trainer.subject.whole_photo import whole_photo
from .comfy_cards import remove_card
from .comfy_choice import choose
from .comfy_failures import failures
from .comfy_host import store
from .comfy_outputs import shown_outputs
from .comfy_progress import running_prompts, shown_runs
from .input_folders import example_noun, own_folder, photo_folder

LONGEST_BODY = 4096
"""Bytes."""
LONGEST_EDITS = 4_000_000
"""Bytes of a body with captions and painted masks."""
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Route:
    """answer: the fields of the query or the body to what is sent as JSON; a ValueError is sent with status 400.
    longest: of a body, in bytes.
    """

    method: str
    path: str
    answer: Callable[[Fields], Any]
    longest: int = LONGEST_BODY


def live(fields: Fields) -> list[dict[str, Any]]:
    """The state of the latest run of every node: what a page that opens in mid-training draws."""
    return [shown.state() for shown in shown_runs()]


def outputs(fields: Fields) -> list[dict[str, Any]]:
    """What the panels of nodes showed last, and the inputs that it holds for."""
    return [asdict(shown) for shown in shown_outputs()]


def failed(fields: Fields) -> list[dict[str, str]]:
    """The nodes that failed when they ran last, and why."""
    return failures()


def stop(fields: Fields) -> dict[str, Any]:
    """Stop and keep: the training on `node` of `prompt` ends after its step, and the rest of the graph runs on."""
    node, prompt = _text(fields, "node"), _text(fields, "prompt")
    for shown in shown_runs():
        if (shown.node, shown.prompt) == (node, prompt) and prompt in running_prompts():
            shown.stop_asked = True
            return {"stopping": node}
    raise ValueError(f"Nothing is trained on node {node[:40]!r} now.")


def choose_step(fields: Fields) -> dict[str, Any]:
    """Make `step` the result of the ended `run`, as the state of a node names it."""
    step = fields.get("step")
    if not isinstance(step, int) or isinstance(step, bool):
        raise ValueError("step is missing or no whole number.")
    result = choose(_text(fields, "run"), step)
    return {"file": result.file.name, "step": result.steps}


def photos(fields: Fields) -> dict[str, Any]:
    """The photos of a `folder`, as LoadInstanceImages names it, cropped to `resolution`, or with `buckets` "true" in
    their own shapes, and their faults; with `edits`, as its panel keeps them. `class_noun`: an example's.
    """
    side, choice = _text(fields, "resolution"), _text(fields, "folder")
    folder = photo_folder(choice)
    if folder is None or not side.isdecimal():
        raise ValueError(f"folder names no folder, or resolution {side[:20]!r} is no whole number of pixels.")
    require_inside(folder, folder.parent)
    size = TrainingSize(int(side), int(side), fields.get("buckets") == "true")
    report = photo_report(folder, size, edits=parsed_edits(fields.get("edits", {})))
    return {**report, "class_noun": example_noun(choice)}


def photo(fields: Fields) -> dict[str, Any]:
    """The photo `name` of a `folder` as a whole, upright, and its mask: pictures in a page."""
    folder = photo_folder(_text(fields, "folder"))
    if folder is None:
        raise ValueError("folder names no folder.")
    require_inside(folder, folder.parent)
    return whole_photo(photo_named(folder, _text(fields, "name")))


def write_edits(fields: Fields) -> dict[str, Any]:
    """Write the captions and masks of `edits` beside the photos of a `folder` of the input folder."""
    folder = own_folder(_text(fields, "folder"))
    return {"written": [path.name for path in write_beside(folder, parsed_edits(fields.get("edits", {})))]}


def remove_photo(fields: Fields) -> dict[str, Any]:
    """Put the photo `name` of a `folder` of the input folder aside, into its folder `removed`."""
    choice, name = _text(fields, "folder"), _text(fields, "name")
    folder = own_folder(choice)
    put_aside(folder, name)
    return {"removed": name}


def past(fields: Fields) -> list[dict[str, Any]]:
    """What was trained here, newest first."""
    return history(store())


def delete(fields: Fields) -> dict[str, Any]:
    """Delete the result at `path`, as the history names it."""
    path = _text(fields, "path")
    delete_result(path, store())
    # The path is that of a result by now.
    remove_card(store().work.parent / path)
    return {"deleted": path}


ROUTES = (
    Route("GET", "/dreambooth/live", live),
    Route("GET", "/dreambooth/outputs", outputs),
    Route("GET", "/dreambooth/failures", failed),
    Route("POST", "/dreambooth/stop", stop),
    Route("POST", "/dreambooth/choose", choose_step),
    Route("GET", "/dreambooth/photos", photos),
    Route("POST", "/dreambooth/edited_photos", photos, LONGEST_EDITS),
    Route("GET", "/dreambooth/photo", photo),
    Route("POST", "/dreambooth/write_edits", write_edits, LONGEST_EDITS),
    Route("POST", "/dreambooth/remove_photo", remove_photo),
    Route("GET", "/dreambooth/history", past),
    Route("POST", "/dreambooth/delete", delete),
)


def register() -> None:
    """Add every route to the host; called once, when the pack is loaded."""
    for route in ROUTES:
        PromptServer.instance.routes.route(route.method, route.path)(_handler(route))


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        if _is_foreign(request):
            return _refusal(403, "Only pages of this ComfyUI may ask.")
        try:
            fields = request.query if route.method == "GET" else await _body(request, route.longest)
            return web.json_response(await asyncio.to_thread(route.answer, fields))
        except web.HTTPRequestEntityTooLarge:
            return _refusal(413, f"A body has {route.longest} bytes at most.")
        except ValueError as error:
            return _refusal(400, str(error))

    return handle


def _is_foreign(request: web.Request) -> bool:
    """The host itself compares only where it is reached by a loopback name, and not at all when CORS is opened."""
    # Browsers say it themselves where they trust the connection; behind a proxy, Host may lack the port of Origin.
    site = request.headers.get("Sec-Fetch-Site")
    if site in ("cross-site", "same-origin"):
        return site == "cross-site"
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()


async def _body(request: web.Request, longest: int) -> Fields:
    """A JSON object; its own content type keeps plain forms of other pages out."""
    if request.content_type != "application/json":
        raise ValueError("The body must be application/json.")
    text = b""
    async for part in request.content.iter_any():
        text += part
        if len(text) > longest:
            raise web.HTTPRequestEntityTooLarge(longest, len(text))
    try:
        fields = json.loads(text)
    except RecursionError as error:
        raise ValueError("The body is nested too deeply.") from error
    if not isinstance(fields, dict):
        raise ValueError("The body must be a JSON object.")
    return fields


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing or no text.")
    return value


def _refusal(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)
