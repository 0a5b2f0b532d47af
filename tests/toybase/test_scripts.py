"""The scripts that make and measure the embedded base start, from the repository's root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.toybase.__main__ import SCRIPTS

ROOT = Path(__file__).resolve().parents[2]


def started(*words: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "toybase", *words)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("script", "flag"), [("quantize", "--runs"), pytest.param("train_denoiser", "--icons", marks=pytest.mark.slow)]
)
def test_a_script_tells_its_flags(script: str, flag: str) -> None:
    answer = started(script, "--help")
    assert answer.returncode == 0, answer.stderr
    assert flag in answer.stdout


def test_every_script_is_named_and_another_is_refused_with_their_names() -> None:
    scripts = (file.stem for file in (ROOT / "toybase").glob("*.py") if 'if __name__ == "__main__"' in file.read_text())
    assert sorted(scripts) == sorted(["__main__", *SCRIPTS])
    answer = started("writer")
    assert answer.returncode == 1 and all(script in answer.stderr for script in SCRIPTS)
