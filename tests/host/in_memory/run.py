"""Run inside ComfyUI's folder, in a process whose arguments are ComfyUI's."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MARK = "figures: "
"""What the line of the figures begins with."""


def main(modules: Sequence[str]) -> None:
    """Print {module: its figures} of these modules of this folder, and on stderr each as soon as it is there."""
    # Before comfy, under whose import another module of this name would be found.
    importlib.import_module("utils.install_util")
    importlib.import_module("comfy.options").enable_args_parsing()
    runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()
    import torch

    found = {}
    # As ComfyUI runs its nodes.
    with torch.inference_mode():
        for name in modules:
            begun = time.process_time()
            found[name] = importlib.import_module(f"dreambooth_nodes.tests.host.in_memory.{name}").figures()
            print(f"{name}, {time.process_time() - begun:.1f} CPU seconds: {found[name]}", file=sys.stderr, flush=True)
    print(f"{MARK}{json.dumps(found)}")
