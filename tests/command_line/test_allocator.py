"""A training starts itself once more, and stays the process that it was."""

from __future__ import annotations

import sys

import pytest

from dreambooth_nodes.command_line.allocator import TUNABLES, tuned
from dreambooth_nodes.tests.command_line.conftest import ROOT, started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator, on Linux")

PROGRAM = f"""
import os, runpy, sys
print(os.environ.get("{TUNABLES}", ""), flush=True)
runpy.run_path({str(ROOT / "__main__.py")!r}, run_name="dreambooth_command_line")["load_package"]()
from dreambooth_nodes.command_line.allocator import restart_tuned
restart_tuned(sys.argv[1:])
print(os.getpid(), *sys.argv[1:])
"""


def said(*words: str, **environment: str) -> tuple[list[str], int]:
    """The program's lines, and its process's number."""
    process = started(["-c", PROGRAM, *words], **environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines(), process.pid


def test_a_training_begins_anew_once_with_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    lines, pid = said("train", "--noun", "a dog")
    assert lines == ["", tuned()[TUNABLES], f"{pid} train --noun a dog"]


def test_other_commands_and_whoever_tunes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    assert len(said("export", "train")[0]) == len(said()[0]) == 2
    own = "glibc.malloc.check=0"
    assert said("train", **{TUNABLES: own})[0][0] == own and len(said("train", **{TUNABLES: own})[0]) == 2
    monkeypatch.setenv(TUNABLES, own)
    assert tuned() == {}
