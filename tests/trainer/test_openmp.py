"""Waiting threads: what is chosen by how busy the machine is, and that it reaches the OpenMP that torch loads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.trainer import openmp
from dreambooth_nodes.trainer.openmp import BUSY, IDLE, SETTINGS, openmp_settings

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="OpenMP is GNU's on Linux alone")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def with_runnable(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Linux tell of so many threads beside the one that asks."""
    load = folder / "loadavg"
    load.write_text(f"0.52 0.58 0.59 {count + 1}/467 4242\n")
    monkeypatch.setattr(openmp, "LOAD", load)


def test_threads_sleep_at_once_on_a_busy_machine_and_spin_a_little_on_an_idle_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_runnable(0, tmp_path, monkeypatch)
    assert openmp_settings() == IDLE
    with_runnable(len(os.sched_getaffinity(0)), tmp_path, monkeypatch)
    assert openmp_settings() == BUSY


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_user_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "active" if name == "OMP_WAIT_POLICY" else "77")
    assert openmp_settings() == {}


def test_where_linux_does_not_tell_the_machine_counts_as_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "LOAD", tmp_path / "nowhere")
    assert openmp_settings() == IDLE


def test_the_command_line_sets_it_before_torch_is_loaded() -> None:
    environment = {**os.environ, "OMP_DISPLAY_ENV": "VERBOSE"}
    # Of all commands the one that loads torch and little else.
    words = [sys.executable, ROOT, "photos", ROOT / "toybase" / "subjects" / "spotted_dog", "--json"]
    answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    # What a passive thread spins for is 0, torch's own default 300000.
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", answer.stderr)) <= {IDLE["GOMP_SPINCOUNT"], "0"}, answer.stderr
    assert "GOMP_SPINCOUNT" in answer.stderr
