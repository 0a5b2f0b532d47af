"""A WebUI for each Gradio: the stand-in's server, with a tiny checkpoint and our tab in it."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.tests.webui.environment import ROOT, browser, packages
from dreambooth_nodes.trainer.files.safetensors import read_tensors, write_tensors
from dreambooth_nodes.trainer.runs.personalized import read_personalized

GRADIO = {"a1111": "a1111", "reforge": "a1111", "forge": "forge", "neo": "forge"}
"""{WebUI: whose Gradio it has}."""
SUBJECT = ROOT / "toybase" / "subjects" / "spotted_dog"
STAND_IN = Path(__file__).with_name("stand_in_server.py")


@dataclass
class Served:
    """A running stand-in."""

    kind: str
    data: Path
    url: str

    @property
    def log(self) -> list[str]:
        """What happened, in its order."""
        return (self.data / "log.txt").read_text(encoding="utf-8").split("\n")[:-1]

    def await_log(self, what: str) -> None:
        """Wait until it has happened. Raises AssertionError where it never does."""
        until = time.monotonic() + HANG_SECONDS
        while what not in self.log:
            assert time.monotonic() < until, self.log
            time.sleep(0.2)

    def request(self, path: str, body: Any = None, user: str = "") -> Any:
        """The answer's JSON. Raises HTTPError."""
        asked = urllib.request.Request(f"{self.url}{path}", method="GET" if body is None else "POST")
        asked.add_header("Content-Type", "application/json")
        if user:
            asked.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(asked, data, timeout=HANG_SECONDS) as answer:
            return json.load(answer)


Serve = Callable[..., Served]


@pytest.fixture(scope="package")
def serve(tiny_base_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a stand-in; all are ended with the folder's tests."""
    if sys.version_info >= (3, 12):
        pytest.skip("the WebUIs and their Gradios are for Python 3.10 and 3.11")
    running: list[subprocess.Popen[str]] = []

    def start(kind: str, api_auth: str = "", python: Path | None = None, extension: Path = ROOT) -> Served:
        data = tmp_path_factory.mktemp(kind)
        (data / "models" / "Stable-diffusion").mkdir(parents=True)
        os.link(tiny_base_file, data / "models" / "Stable-diffusion" / "toybase.safetensors")
        port = _free_port()
        # A Python of its own has its own Gradio.
        beside = "" if python else packages(GRADIO[kind])
        words = [python or sys.executable, STAND_IN, beside, extension, data, port, kind, *filter(None, [api_auth])]
        environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
        with (data / "console.txt").open("w") as console:
            process = subprocess.Popen(
                list(map(str, words)), stdout=console, stderr=subprocess.STDOUT, env=environment, text=True
            )
        running.append(process)
        _await_ready(process, data / "console.txt")
        return Served(kind, data, f"http://127.0.0.1:{port}")

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """A browser, driven by Playwright."""
    program = browser()
    if program is None:
        pytest.skip("no Chromium is installed here")
    sys.path.append(str(packages("browser")))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"], timeout=1000 * HANG_SECONDS
        )
        yield launched
        launched.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(process: subprocess.Popen[str], console: Path) -> None:
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if console.read_text(encoding="utf-8").endswith("ready\n"):
            return
        time.sleep(0.5)
    raise AssertionError(f"the stand-in did not start:\n{console.read_text(encoding='utf-8')}")


def keep_step(result: dict[str, Any], step: int) -> None:
    """Lay a file of another step into the folder of a finished training's run, as scores leave them there: the
    result's own weights. result: of the job, as the API tells it.
    """
    file = Path(result["file"])
    kept = Path(result["run"]) / "scored" / f"step_{step:06d}.safetensors"
    kept.parent.mkdir(exist_ok=True)
    write_tensors(read_tensors(file), kept, replace(read_personalized(file), steps=step).metadata())
