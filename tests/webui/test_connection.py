"""A page whose connection to the WebUI breaks: it says so, and sees the training again once there is one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from dreambooth_nodes.tests.webui.conftest import Serve
from dreambooth_nodes.tests.webui.tab_page import ask, await_ready, field, fill, new_page, open_tab, said

BAR = "#dreambooth_status [role=progressbar]"


class Cable:
    """Hands every connection to its port on to another one, until it is cut."""

    def __init__(self, to: int) -> None:
        self._to, self._ends = to, set()  # type: ignore[var-annotated]
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = self._run(asyncio.start_server(self._join, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._run(self._cut())

    def mend(self) -> None:
        """Take connections again."""
        self._server = self._run(asyncio.start_server(self._join, "127.0.0.1", self.port))

    async def _cut(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(further, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        self._ends.discard(writer)
        writer.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@pytest.fixture(params=["a1111", "forge"])
def broken(request: pytest.FixtureRequest, serve: Serve, chromium: Any) -> Iterator[tuple[str, Cable, Any]]:
    """(which Gradio, the cable, a page behind it)."""
    cable = Cable(int(serve(request.param).url.rpartition(":")[2]))
    page = new_page(chromium, f"http://127.0.0.1:{cable.port}")
    yield request.param, cable, page
    page.close()


@pytest.mark.parametrize("kind", ["a1111"])
def test_a_page_whose_first_view_was_lost_asks_again(kind: str, serve: Serve, chromium: Any) -> None:
    page = chromium.new_page()
    # Gradio 3.41 has a connection for each answer; the first of them all end unanswered.
    page.add_init_script(
        """(() => {
            const Real = window.WebSocket, until = Date.now() + 6000;
            window.WebSocket = function (...of) {
                const socket = new Real(...of);
                if (Date.now() < until) setTimeout(() => socket.close(), 0);
                return socket;
            };
        })()"""
    )
    page.goto(serve(kind).url)
    open_tab(page, "DreamBooth")
    page.locator("#dreambooth_beat [data-view]").wait_for(state="attached")
    page.close()


@pytest.mark.slow
def test_a_page_that_lost_the_webui_says_so_and_sees_the_training_again(broken: tuple[str, Cable, Any]) -> None:
    kind, cable, page = broken
    lost = page.locator("#dreambooth_lost").get_by_text("The WebUI does not answer")
    ask(page)
    fill(page, "dreambooth_steps", 100_000)
    page.locator("#dreambooth_train").click()
    said(page, "status", "of 100000")
    assert not lost.is_visible()
    cable.cut()
    lost.wait_for()
    seen = page.locator(BAR).first.get_attribute("aria-valuenow")
    cable.mend()
    if kind == "forge":
        # Gradio 4.40 opens no other stream on a page that lost one: nothing that waits in its queue would be answered.
        page.locator("#dreambooth_lost a").click()
        page.wait_for_load_state()
        open_tab(page, "DreamBooth")
    lost.wait_for(state="hidden")
    page.locator(BAR).first.wait_for()
    page.wait_for_function(f"seen => document.querySelector('{BAR}').getAttribute('aria-valuenow') !== seen", arg=seen)
    await_ready(page)
    assert field(page, "dreambooth_steps").input_value() == "100000"
    page.locator("#dreambooth_stop").click()
    said(page, "status", "Stopped, and what was trained is saved")
