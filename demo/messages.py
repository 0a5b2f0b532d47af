"""ComfyUI's websocket: what a running prompt tells, until it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from .host_process import ComfyUIError

# The last message of a prompt is one of these.
ENDS = {"execution_success", "execution_error", "execution_interrupted"}


@dataclass(frozen=True)
class Message:
    """One message: ComfyUI's own kinds, ours (dreambooth.*), or "preview" with the image's bytes."""

    kind: str
    data: dict[str, Any]


def parse(kind: aiohttp.WSMsgType, content: Any) -> Message | None:
    """A websocket frame as a Message; None for one that carries none. Raises ComfyUIError at its end."""
    if kind is aiohttp.WSMsgType.TEXT:
        fields = json.loads(content)
        return Message(fields["type"], fields.get("data") or {})
    if kind is aiohttp.WSMsgType.BINARY:
        return Message("preview", {"image": content})
    if kind in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
        raise ComfyUIError("ComfyUI closed the connection: it has probably stopped, see its log")
    return None


async def follow(url: str, begin: Callable[[], str], on_message: Callable[[Message], None]) -> str:
    """Connect, queue by `begin`, pass every message on until that prompt ends, and return its id.

    The connection stands before the prompt is queued, so that no message is missed.
    """
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0) as socket,
    ):
        prompt_id = await asyncio.to_thread(begin)
        while True:
            frame = await socket.receive()
            message = parse(frame.type, frame.data)
            if message is None:
                continue
            on_message(message)
            if message.kind in ENDS and message.data.get("prompt_id") == prompt_id:
                return prompt_id
