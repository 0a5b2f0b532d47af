"""ComfyUI's manager clones the whole history: it stays small."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST = 110e6
"""Bytes. Weights of the embedded base are most of it, and each version of them stays for ever."""


def git(*words: str) -> str:
    """What git answers of this repository."""
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone: no history to measure")
def test_the_history_is_small_enough_to_clone() -> None:
    if git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("a shallow clone: its history is not there")
    size = int(git("rev-list", "--objects", "--disk-usage", "HEAD"))
    assert 1e6 < size < MOST, f"{size / 1e6:.0f} MB"
