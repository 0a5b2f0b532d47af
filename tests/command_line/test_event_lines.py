"""`train --events`: what another program is told, and how it stops the training."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.command_line.event_lines import EventLines
from dreambooth_nodes.command_line.stopping import StopSignals
from dreambooth_nodes.tests.command_line.conftest import ROOT, started, train_words
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.personalized import read_personalized


def start(base: Path, output: Path, *more: object) -> subprocess.Popen[str]:
    words = (ROOT, *train_words(base, output, "--events", *more))
    return started(words)


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it said on stdout and stderr; its stdin stays open until then."""
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(timeout=HANG_SECONDS)
    return out, err


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_is_told_and_a_line_on_stdin_stops_it_and_keeps_what_was_trained(
    tiny_base_file: Path, tmp_path: Path
) -> None:
    loras, sampled = tmp_path / "host" / "Lora", ("--sample-count", 1, "--sample-every", 1)
    process = start(tiny_base_file, tmp_path, "--steps", 100_000, *sampled, "--loras", loras)
    assert process.stdin is not None and process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "step" and events[-1]["step"] == 2:
            process.stdin.write("stop\n")
            process.stdin.flush()
    assert process.wait(timeout=HANG_SECONDS) == 143
    # One by one, though both are drawn at once.
    assert [e["done"] for e in events if e["event"] == "progress" and e["what"] == "class images"] == [0, 1, 2]
    steps = [e["step"] for e in events if e["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= 2
    samples = [e for e in events if e["event"] == "sample"]
    assert samples and all(len(e["pictures"]) == 1 for e in samples)
    assert events[-1]["event"] == "result" and events[-1]["status"] == "stopped"
    file = Path(events[-1]["file"])
    assert file.parent == loras and read_personalized(file).steps == events[-1]["steps"] == len(steps)


def test_an_error_that_ends_it_is_a_line_and_one_that_is_no_users_is_none() -> None:
    out = io.StringIO()
    with pytest.raises(OptionError) as raised:
        TrainOptions(steps=0)
    for error in (raised.value, AssertionError("ours")):
        EventLines(out, sys.stdin, StopSignals()).__exit__(type(error), error, None)
    (failed,) = told(out.getvalue())
    assert failed["event"] == "failed" and "steps is 0" in failed["text"]


@pytest.mark.slow
def test_what_has_to_be_changed_is_told(tiny_base_file: Path, tmp_path: Path) -> None:
    process = start(tiny_base_file, tmp_path, "--steps", 0)
    out, _ = finished(process)
    assert process.returncode == 1
    assert told(out)[-1]["event"] == "failed" and "steps is 0" in told(out)[-1]["text"]
