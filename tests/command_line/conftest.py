"""Real commands on a tiny base, with few steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.tests.interruption import main

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "toybase" / "subjects" / "spotted_dog"
QUICK = ("--noun", "dog", "--device", "cpu", "--precision", "fp32", "--sample-count", "0")
QUICK_PRIORS = ("--priors", "2", "--prior-steps", "2", "--prior-batch-size", "2")

Words = Sequence[object]
Command = Callable[..., dict[str, Any]]


def train_words(base: Path, output: Path, *more: object) -> list[str]:
    """A short training; `more` is said last, and so wins."""
    named = ("--base", base, "--photos", PHOTOS, "--output", output, "--identifier", "olt")
    return [str(word) for word in ("train", *named, *QUICK, *QUICK_PRIORS, *more)]


def started(words: Words, session: bool = False, **environment: str) -> subprocess.Popen[str]:
    """A Python process; with `session`, one that gets signals as from a terminal of its own."""
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=session,
        env={**os.environ, **environment},
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process with --json; its result. Fails with what it said where the status is not 0."""

    def run(*words: object) -> dict[str, Any]:
        status = main([*map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return dict(json.loads(out))

    return run
