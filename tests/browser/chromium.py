"""A Chromium without a window, driven over its DevTools protocol; needs nothing but the browser."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from dreambooth_nodes.tests.waiting import HANG_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS_FOR_A_CLICK, SECONDS_BETWEEN_CLICKS = 2.0, 30.0
"""In which a click arrives, or was lost; and in which the page does what one that arrived is for."""
SECONDS_FOR_A_PICTURE = 120.0
NOTE_CLICK = """(() => {
  window.arrived = false;
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(SELECTOR)) window.arrived = true;
  }, { capture: true });
})()"""
SIZE = (1600, 1000)
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars", "--force-color-profile=srgb", "--disable-background-networking", "--disable-extensions",
    "--remote-debugging-port=0", f"--window-size={SIZE[0]},{SIZE[1]}",
)  # fmt: skip
SLOW_FRAMES = """(() => {
  const frame = window.requestAnimationFrame.bind(window);
  const later = (draw) => setTimeout(() => draw(performance.now()), 100);
  window.requestAnimationFrame = (draw) => (window.everyFrame ? frame(draw) : later(draw));
})()"""
"""Ten pictures a second, until the page's `everyFrame` is set: without a GPU all are drawn by the cores that train."""
ACCEPT = {"accept": True}
KEYS = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}
Answer = TypeVar("Answer")


def found() -> str | None:
    """A Chromium of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class PageError(RuntimeError):
    """The page raised, or what was waited for did not come."""


class Page:
    """One page of a browser of its own: `with Page(url) as page`. Expressions are JavaScript; promises are awaited."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder = Path(tempfile.mkdtemp(prefix="dreambooth-chromium-"))
        self._loop = asyncio.new_event_loop()
        self._count = 0
        self.errors: list[str] = []
        """What the page's scripts raised and nobody caught."""

    def __enter__(self) -> Page:
        program = found()
        assert program is not None
        arguments = [program, *ARGUMENTS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._run(self._connect())
            for domain in ("Page", "Runtime"):
                self.call(f"{domain}.enable")
            self.call("Page.addScriptToEvaluateOnNewDocument", source=SLOW_FRAMES)
            # A window's page is less high than the window.
            size = {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False}
            self.call("Emulation.setDeviceMetricsOverride", **size)
            self.open(self._url)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and delete its profile."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_session"):
            self._run(self._session.close())
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, url: str) -> None:
        """Go to an address, as from the address bar."""
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        """As F5 does."""
        self.value("window.beforeReload = true")
        self.call("Page.reload")
        self.wait("window.beforeReload === undefined")

    def value(self, expression: str) -> Any:
        """The value of an expression, ready for JSON. Raises PageError with what it threw."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if thrown := answer.get("exceptionDetails"):
            raise PageError(f"{expression[:200]}: {thrown.get('exception', {}).get('description', thrown)}")
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = HANG_SECONDS) -> Any:
        """The first value of an expression that is true. Raises PageError with the last one when the time is up."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if last := self.value(expression):
                    return last
            # A page that is being left has no context to ask.
            except PageError as error:
                last = error
            time.sleep(0.1)
        raise PageError(f"not within {seconds:.0f} s: {expression} (last: {last}); errors: {self.errors}")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the element."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_until(self, selector: str, expression: str) -> None:
        """Click until an expression is true: a click is lost where the element is drawn anew beneath it, and one that
        arrived may find a page that is not ready for it.
        """
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            self.value(NOTE_CLICK.replace("SELECTOR", json.dumps(selector)))
            self.click(selector)
            try:
                self.wait(f"window.arrived || ({expression})", SECONDS_FOR_A_CLICK)
                self.wait(expression, SECONDS_BETWEEN_CLICKS)
            except PageError:
                continue
            return
        raise PageError(f"{selector} was clicked again and again, and never {expression}; errors: {self.errors}")

    def drag(self, selector: str, by: tuple[float, float]) -> None:
        """With the mouse held down, from the middle of the element by so many pixels."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for share in (0.25, 0.5, 0.75, 1):
            to = {"x": x + share * by[0], "y": y + share * by[1]}
            self.call("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, **to)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", clickCount=1, **to)

    def drag_onto(self, selector: str, target: str) -> None:
        """The same, to the middle of another element."""
        (x, y), (to_x, to_y) = self._middle(selector), self._middle(target)
        self.drag(selector, (to_x - x, to_y - y))

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """One of `KEYS`."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def drop(self, files: Sequence[Path], selector: str) -> None:
        """Files from the desktop, onto an element; what lies over it would let the browser open them in new tabs."""
        x, y = self._middle(selector)
        there = f"document.elementFromPoint({x}, {y})"
        if not self.value(f"!!{there}?.closest({json.dumps(selector)})"):
            over = self.value(f"{there}?.outerHTML ?? 'nothing'")
            raise PageError(f"over {selector} lies {over[:300]}")
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def screenshot(self, file: Path) -> Path:
        """What is seen now, as PNG. Raises TimeoutError where the page is not drawn."""
        answer = self._run(self._call("Page.captureScreenshot", {}), SECONDS_FOR_A_PICTURE)
        file.write_bytes(base64.b64decode(answer["data"]))
        return file

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        return self._run(self._call(method, parameters))

    def _middle(self, selector: str) -> tuple[float, float]:
        box = f"document.querySelector({json.dumps(selector)})?.getBoundingClientRect()"
        at = f"(b => b && b.width && [b.x + b.width / 2, b.y + b.height / 2])({box})"
        # Where it still is a frame later: hosts place what floats after they show it.
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        x, y = self.wait(f"(async () => {{ const was = {at}; await {frame}; const is = {at};"
                         " return was && is && was[0] === is[0] && was[1] === is[1] && is; })()")  # fmt: skip
        return x, y

    def _run(self, work: Coroutine[Any, Any, Answer], seconds: float = HANG_SECONDS) -> Answer:
        return self._loop.run_until_complete(asyncio.wait_for(work, seconds))

    async def _connect(self) -> None:
        self._session = aiohttp.ClientSession()
        file = self._folder / "DevToolsActivePort"
        # Two lines, the port and a path; it is there before they are in it.
        while not file.is_file() or len(lines := file.read_text().split()) < 2:
            if self._process.poll() is not None:
                raise PageError(f"Chromium ended at its start, status {self._process.returncode}")
            await asyncio.sleep(0.1)
        self._socket = await self._session.ws_connect(await self._first_page(lines[0]), max_msg_size=0)

    async def _first_page(self, port: str) -> str:
        while True:
            async with self._session.get(f"http://127.0.0.1:{port}/json") as answer:
                for entry in await answer.json():
                    if entry["type"] == "page":
                        return str(entry["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        number = self._count
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("method") == "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.errors.append(str(details.get("exception", {}).get("description", details["text"])))
            if message.get("method") == "Page.javascriptDialogOpening":
                # "Leave the page?" stands in the way of a reload with unsaved changes.
                await self._socket.send_json({"id": 0, "method": "Page.handleJavaScriptDialog", "params": ACCEPT})
            if message.get("id") == number:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
