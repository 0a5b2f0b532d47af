"""diffusers' DreamBooth scripts, unmodified, from a folder that the user names: what both benches say to them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = {"lora": "train_dreambooth_lora.py", "full": "train_dreambooth.py"}
SAME_FOR_ALL = {"train_batch_size": 1, "lr_scheduler": "constant", "lr_warmup_steps": 0}
THEIR_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class ScriptsMissing(ValueError):
    """The folder that was named does not hold the rival's scripts."""


def script_command(scripts: Path, method: str, options: Mapping[str, object]) -> list[str]:
    """The command of their script for a method, with {option: value}; at batch 1 and a constant rate if not said."""
    named = {**SAME_FOR_ALL, **options}
    words = [word for name, value in named.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(scripts / SCRIPTS[method]), *words]


def require_scripts(scripts: Path) -> None:
    """Raise ScriptsMissing where the folder does not hold both scripts."""
    for name in SCRIPTS.values():
        if not (scripts / name).is_file():
            raise ScriptsMissing(
                f"{scripts} holds no {name}: --diffusers names the folder examples/dreambooth of diffusers' "
                "sources, at a version not above the installed one"
            )
