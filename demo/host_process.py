"""Starts ComfyUI's main.py in a base directory of its own and stops it for certain."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ..trainer.openmp import openmp_settings
from ..trainer.operating_system import end_group, own_group
from .environment import ROOT, comfyui_folder, comfyui_python

PACK_FOLDER = "dreambooth-nodes"
NOT_IN_A_CLONE = shutil.ignore_patterns(".*", "__pycache__", "demo_output", "tests")
# A loaded machine is slow; a process that ends is noticed at once.
BOOT_SECONDS = 1500.0
STOP_SECONDS = 15.0


class ComfyUIError(RuntimeError):
    """ComfyUI did not start, refused a prompt, or a node failed; the message is ComfyUI's own."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install_pack(base_directory: Path) -> Path:
    """Copy the working tree into `custom_nodes`, as a clone would lie there, and return its folder."""
    folder = base_directory / "custom_nodes" / PACK_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=NOT_IN_A_CLONE)
    return folder


def check_requirements(python: Path) -> None:
    """Raise ComfyUIError, with the command that helps, where the user's own Python lacks what the pack needs."""
    answer = subprocess.run(
        [str(python), str(ROOT / "install.py")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if answer.returncode:
        raise ComfyUIError(f"{answer.stdout}{answer.stderr}".strip())


@cache
def has_accelerator(python: Path) -> bool:
    """Ask the host's own torch, once: ComfyUI stops at its start without --cpu where there is none."""
    question = "import torch; print(torch.cuda.is_available() or torch.backends.mps.is_available())"
    answer = subprocess.run(
        [str(python), "-c", question], capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    if answer.returncode:
        raise ComfyUIError(f"{python} cannot import torch:\n{answer.stderr.strip()}")
    return answer.stdout.strip() == "True"


class HostProcess:
    """One running ComfyUI; its output goes to `log`. port: None chooses a free one."""

    def __init__(self, base_directory: Path, log: Path, arguments: Sequence[str] = (), port: int | None = None) -> None:
        self.port = port or free_port()
        self.log = log
        python = comfyui_python() or Path(sys.executable)
        check_requirements(python)
        options = ["--base-directory", str(base_directory), "--port", str(self.port)]
        options += ["--database-url", "sqlite:///:memory:", "--disable-api-nodes"]
        options += ["--disable-auto-launch", *arguments]
        if not has_accelerator(python):
            options.append("--cpu")
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(python), "main.py", *options],
                cwd=comfyui_folder(),
                env={**os.environ, **offline, **openmp_settings()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches us alone, and whatever it starts is stopped with it.
                **own_group(),
            )

    @property
    def process_id(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = BOOT_SECONDS) -> None:
        """Return when /system_stats answers. Raises ComfyUIError when the process ends or the time is up."""
        deadline = time.monotonic() + seconds
        url = f"http://127.0.0.1:{self.port}/system_stats"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise ComfyUIError(f"ComfyUI ended at its start, status {code}:\n{self.tail()}")
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        raise ComfyUIError(f"ComfyUI gave no answer in {seconds:.0f} s:\n{self.tail()}")

    def tail(self, lines: int = 30) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the process and all it started: asked first, killed after 15 s or a second Ctrl-C."""
        try:
            end_group(self._process, at_once=False)
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process and all it started without asking."""
        end_group(self._process, at_once=True)
        self._process.wait()
