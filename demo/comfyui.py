"""A real ComfyUI for the demo and the tests: started, spoken to over HTTP, stopped."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from .host_process import ComfyUIError, HostProcess, install_pack
from .messages import Message, follow

# The history is written a moment after the last message is sent. On a busy machine a moment is long, and a host that
# loads a model answers late; a host that ends is noticed at once.
HISTORY_SECONDS = 600.0
ANSWER_SECONDS = 600.0

Prompt = dict[str, dict[str, Any]]
Outputs = dict[str, dict[str, Any]]


class NodeError(ComfyUIError):
    """A node raised, or refused its inputs before anything ran."""


class Interrupted(ComfyUIError):
    """The prompt was cancelled."""


class ComfyUI:
    """A context manager around one ComfyUI that has this pack among its custom nodes.

    Without `base_directory` everything it writes is gone at the end; one that is given stays, so that a second
    ComfyUI started on it is the same one restarted. arguments: to its main.py, beside what is always given.
    """

    def __init__(
        self, base_directory: Path | None = None, log: Path | None = None, arguments: Sequence[str] = ()
    ) -> None:
        self._throw_away = base_directory is None
        self.base_directory = base_directory or Path(tempfile.mkdtemp(prefix="dreambooth-comfyui-"))
        self.log = log or self.base_directory / "comfyui.log"
        self._arguments = arguments
        self.client_id = uuid.uuid4().hex
        self._process: HostProcess | None = None
        self._port: int | None = None

    def __enter__(self) -> ComfyUI:
        try:
            for folder in ("input", "output", "models/checkpoints", "models/loras"):
                (self.base_directory / folder).mkdir(parents=True, exist_ok=True)
            install_pack(self.base_directory)
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def restart(self) -> None:
        """Stop it and start it again on the same base directory and address: whatever it kept in memory is gone, and
        an open page finds it again.
        """
        self._stop()
        self._start()

    def kill(self) -> None:
        """End it without asking, as a crash does; `restart` starts it again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the host; delete the base directory if it was made here."""
        try:
            self._stop()
        finally:
            if self._throw_away:
                shutil.rmtree(self.base_directory, ignore_errors=True)

    def _start(self) -> None:
        self._process = HostProcess(self.base_directory, self.log, self._arguments, self._port)
        self._port = self._process.port
        self._process.wait_until_ready()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    @property
    def address(self) -> str:
        """Host and port, once it runs."""
        if self._process is None:
            raise ComfyUIError("ComfyUI is not running: use it in a with block")
        return f"127.0.0.1:{self._process.port}"

    @property
    def process_id(self) -> int | None:
        """The number of its process, while it runs."""
        return None if self._process is None else self._process.process_id

    @property
    def output_directory(self) -> Path:
        return self.base_directory / "output"

    def request(self, path: str, body: object = None) -> bytes:
        """GET `path`, or POST `body` to it as JSON. Raises ComfyUIError with the answer of a failure."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise ComfyUIError(f"{path}: {error.code} {text}") from error
        except urllib.error.URLError as error:
            raise ComfyUIError(f"ComfyUI does not answer: {error.reason}; see {self.log}") from error

    def object_info(self) -> dict[str, Any]:
        """Every node's inputs and outputs, by node_id."""
        return dict(json.loads(self.request("/object_info")))

    def queue(self, prompt: Prompt) -> str:
        """Queue an API prompt and return its id. Raises NodeError where ComfyUI refuses any node's inputs."""
        body = {"prompt": prompt, "client_id": self.client_id}
        try:
            answer = json.loads(self.request("/prompt", body))
        except ComfyUIError as error:
            raise NodeError(str(error)) from error
        if answer["node_errors"]:
            # ComfyUI runs what it did accept; half a graph is no answer to anyone here.
            self.request("/queue", {"delete": [answer["prompt_id"]]})
            self.request("/interrupt", {"prompt_id": answer["prompt_id"]})
            raise NodeError(json.dumps(answer["node_errors"]))
        return str(answer["prompt_id"])

    def run(self, prompt: Prompt, on_message: Callable[[Message], None] | None = None) -> Outputs:
        """Queue a prompt, wait for its end and return each output node's output by node number.

        `on_message` gets every message of the websocket meanwhile: executing, progress, dreambooth.step ...
        Raises NodeError with the node's own message, or Interrupted.
        """
        url = f"ws://{self.address}/ws?clientId={self.client_id}"
        begin = partial(self.queue, prompt)
        return self.outputs(asyncio.run(follow(url, begin, on_message or (lambda message: None))))

    def outputs(self, prompt_id: str) -> Outputs:
        """What a finished prompt left. Raises NodeError or Interrupted when it did not succeed."""
        entry = self._history(prompt_id)
        for kind, data in entry["status"]["messages"]:
            if kind == "execution_error":
                raise NodeError(f"{data['node_type']} (node {data['node_id']}): {data['exception_message']}")
            if kind == "execution_interrupted":
                raise Interrupted(f"cancelled in {data['node_type']} (node {data['node_id']})")
        return dict(entry["outputs"])

    def _history(self, prompt_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + HISTORY_SECONDS
        while time.monotonic() < deadline:
            history = json.loads(self.request(f"/history/{prompt_id}"))
            if prompt_id in history:
                return dict(history[prompt_id])
            time.sleep(0.02)
        raise ComfyUIError(f"the prompt {prompt_id} ended and ComfyUI's history does not have it")

    def interrupt(self) -> None:
        """Cancel what runs now."""
        self.request("/interrupt", {})

    def free(self) -> None:
        """Drop the models and the cached outputs of nodes, as after memory pressure."""
        self.request("/free", {"unload_models": True, "free_memory": True})

    def image(self, reference: dict[str, str]) -> bytes:
        """The file behind one entry of an output's `images`."""
        return self.request(f"/view?{urllib.parse.urlencode(reference)}")

    def images(self, outputs: Outputs, node: str) -> list[bytes]:
        """All image files that the node numbered `node` put out."""
        return [self.image(reference) for reference in outputs[node]["images"]]
