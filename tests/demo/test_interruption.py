"""Ctrl-C or SIGTERM ends the tests at once: what began is torn down, the summary is written, nothing more is begun."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.tests.waiting import HANG_SECONDS

INTERRUPTION = Path(__file__).parents[1] / "interruption.py"
CONFTEST = f"""
import runpy

def pytest_sessionstart():
    runpy.run_path({str(INTERRUPTION)!r})["end_on_signals"]()
"""
TESTS = """
import time
import pytest

@pytest.fixture
def host():
    yield
    print("the host is stopped", flush=True)

def test_that_passes():
    pass

def test_that_takes_an_hour(host):
    print("it has begun", flush=True)
    time.sleep(3600)

def test_that_comes_after_it():
    print("it goes on", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_run_with_its_summary(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    words = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", tmp_path]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while "it has begun" not in said:
            said += (line := process.stdout.readline())
            assert line, said
        process.send_signal(number)
        rest, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "the host is stopped" in rest and "it goes on" not in rest
    assert f"KeyboardInterrupt: {number.name}" in rest
    assert "1 passed in" in rest
