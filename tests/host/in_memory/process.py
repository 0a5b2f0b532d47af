"""The process of a real ComfyUI in which figures are taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dreambooth_nodes.demo.environment import comfyui_folder, comfyui_python
from dreambooth_nodes.tests.host.in_memory.run import MARK

SCRIPT = Path(__file__).with_name("run.py")


def measured(*modules: str) -> dict[str, Any]:
    """{module: its figures} of modules of this folder, in the ComfyUI of `demo.environment`."""
    run = (
        "import runpy, sys; sys.path.insert(0, '.'); sys.argv = ['', '--cpu']; "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='in_memory')['main']({modules!r})"
    )
    interpreter = comfyui_python() or sys.executable
    answer = subprocess.run(
        [str(interpreter), "-c", run], cwd=comfyui_folder(), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    (line,) = (line for line in answer.stdout.splitlines() if line.startswith(MARK))
    return dict(json.loads(line.removeprefix(MARK)))
