"""A training starts itself once more, and stays the process that it was."""

from __future__ import annotations

import pytest

from dreambooth_nodes.tests.command_line.conftest import ROOT, started
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.memory.allocator import TUNABLES, tuned

pytestmark = pytest.mark.skipif(not tuned("full", "cpu"), reason="this C library does not listen, or was told already")

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
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    return out.splitlines(), process.pid


FULL = ("train", "--noun", "a dog", "--method=full", "--device", "cpu")


def test_a_full_training_on_a_cpu_begins_anew_once_with_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    lines, pid = said(*FULL)
    assert lines == ["", tuned("full", "cpu")[TUNABLES], f"{pid} {' '.join(FULL)}"]


@pytest.mark.parametrize("more", ["--method=lora", "--device=cuda"])
def test_any_other_training_does_not(more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    assert len(said(*FULL, more)[0]) == 2


def test_one_that_cannot_begin_anew_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    process = started(["-c", "import sys; sys.executable = '/nowhere'\n" + PROGRAM, *FULL])
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0 and len(out.splitlines()) == 2
    assert "could not be started anew" in err and "/nowhere" in err


def test_other_commands_and_whoever_tunes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    own = "glibc.malloc.check=0"
    assert len(said("export", *FULL[1:])[0]) == len(said()[0]) == 2
    assert said(*FULL, **{TUNABLES: own})[0][0] == own and len(said(*FULL, **{TUNABLES: own})[0]) == 2
