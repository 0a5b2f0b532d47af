"""Two processes, one of which has little memory: both go on in less of it, or both end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import NewBase, other, with_options
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.distributed.processes import ALONE, Processes
from dreambooth_nodes.trainer.events import Event, Warned, never
from dreambooth_nodes.trainer.out_of_memory import OutOfMemory
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize

SECOND = Path(__file__).with_name("second_process.py")


@contextmanager
def two_processes(
    base: Path, images: int, request: Request, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Processes, subprocess.Popen[str]]]:
    """This one, and another that can be shown `images` at once; then its last words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}.items():
            monkeypatch.setenv(name, value)
    settings = {name: value for name, value in request.options.settings.items() if name != "templates"}
    words = [sys.executable, str(SECOND), str(base), str(images), json.dumps(settings)]
    # As accelerate starts them: threads of several processes on the same cores wait for each other.
    second = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    processes = Processes.connected(0, 2, never, False)
    try:
        yield processes, second
    finally:
        processes.leave()


def test_a_step_that_does_not_fit_in_one_process_is_made_smaller_in_all(
    new_base: NewBase, asked: Request, store: Store, toybase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, events = with_options(asked, batch_size=4, fit_memory=True, memory="off"), list[Event]()
    with two_processes(toybase_file, 2, asked, monkeypatch) as (processes, second):
        _, together = personalize(new_base(), asked, store, events.append, processes=processes)
    _, err = second.communicate(timeout=HANG_SECONDS)
    assert second.returncode == 0, err
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert ["checkpointing" in warnings[0], "batch_size is 1" in warnings[1], len(warnings)] == [True, True, 2]
    _, alone = personalize(new_base(), with_options(asked, fit_memory=False), other(store, "alone"))
    curves = [torch.tensor([step.instance for step in run.losses()]) for run in (together, alone)]
    torch.testing.assert_close(*curves, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_in_one_process_ends_all_and_says_what_would(
    new_base: NewBase, asked: Request, store: Store, toybase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = with_options(asked, batch_size=4, memory="off")
    with (
        two_processes(toybase_file, 2, asked, monkeypatch) as (processes, second),
        pytest.raises(OutOfMemory, match=r"set batch_size to 1 .*another process is out of memory"),
    ):
        personalize(new_base(), asked, store, processes=processes)
    _, err = second.communicate(timeout=HANG_SECONDS)
    assert second.returncode == 1
    assert "can't allocate memory" in err


def test_one_process_alone_waits_for_nobody() -> None:
    weights = [torch.ones(3)]
    ALONE.order("step", index=0)
    ALONE.average(weights)
    assert ALONE.attempt(lambda: 7) == 7
    assert torch.equal(weights[0], torch.ones(3))
    assert list(ALONE.share({"a": weights[0]})) == ["a"]
    ALONE.leave()
