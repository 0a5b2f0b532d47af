"""Ctrl-C or SIGTERM ends the tests at once: what began is torn down, the summary is written, nothing more is begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dreambooth_nodes.tests.waiting import HANG_SECONDS

INTERRUPTION = Path(__file__).parents[1] / "interruption.py"
CONFTEST = f"""
import runpy

def pytest_configure(config):
    config.pluginmanager.register(runpy.run_path({str(INTERRUPTION)!r})["Interruption"]())
"""
TESTS = """
import subprocess
import sys
import time
from pathlib import Path

import pytest

def say(words):
    with Path(__file__).with_name("said.txt").open("a") as said:
        said.write(words + "\\n")

@pytest.fixture
def host():
    yield
    time.sleep(TEARDOWN)
    say("the host is stopped")

def test_that_passes():
    pass

@pytest.mark.parametrize("number", range(4))
def test_that_takes_an_hour(host, number):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    say(f"it has begun {child.pid}")
    time.sleep(3600)
"""
CASES = {
    "Ctrl-C": (signal.SIGINT, 1, 0),
    "SIGTERM": (signal.SIGTERM, 1, 0),
    "Ctrl-C, two workers": (signal.SIGINT, 2, 0),
    # Longer than the ten seconds that pytest-xdist waits for a worker that it ends by itself.
    "SIGTERM, two workers that take their time": (signal.SIGTERM, 2, 12),
}
"""The signal, the processes that test, and seconds of the teardown."""


def said(folder: Path) -> list[str]:
    file = folder / "said.txt"
    return file.read_text().splitlines() if file.exists() else []


def begun(folder: Path) -> list[int]:
    """Ids of what the tests have started and left."""
    return [int(line.split()[-1]) for line in said(folder) if line.startswith("it has begun")]


@pytest.mark.parametrize("case", CASES)
def test_a_signal_ends_the_run_with_its_summary(case: str, tmp_path: Path) -> None:
    number, count, teardown = CASES[case]
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(f"{TESTS}\nTEARDOWN = {teardown}\n")
    words = [sys.executable, "-m", "pytest", tmp_path, *(["-p", "xdist", "-n", str(count)] * (count > 1))]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Hypothesis takes seconds to load, for nothing here.
    alone["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=alone) as process:
        waited = time.monotonic()
        while len(begun(tmp_path)) < count:
            assert process.poll() is None and time.monotonic() - waited < HANG_SECONDS
            time.sleep(0.05)
        process.send_signal(number)
        summary, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert said(tmp_path).count("the host is stopped") == len(begun(tmp_path)) == count, "each that began, and no more"
    assert f"KeyboardInterrupt: {number.name}" in summary
    assert "1 passed in" in summary
    assert not any(is_running(child) for child in begun(tmp_path))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
