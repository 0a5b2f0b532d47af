"""The first signal stops in an orderly way, the second ends the process."""

from __future__ import annotations

import os
import signal
import time

import pytest

from dreambooth_nodes.command_line.stopping import Stopped, StopSignals
from dreambooth_nodes.tests.command_line.conftest import ROOT, started
from dreambooth_nodes.tests.waiting import HANG_SECONDS

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
STUBBORN = (
    "import runpy, sys, time; runpy.run_path(sys.argv[1], run_name='x')['load_package']()\n"
    "from dreambooth_nodes.command_line.stopping import StopSignals\n"
    "with StopSignals() as stop:\n"
    "    stop.patient = True\n"
    "    print('ready', flush=True)\n"
    "    while not stop(): time.sleep(0.01)\n"
    "    print('told', flush=True)\n"
    "    time.sleep(600)\n"
)


@BOTH
def test_with_nothing_to_finish_the_work_ends_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=number.name) as end, StopSignals():
        os.kill(os.getpid(), number)
        time.sleep(60)
    assert end.value.status == 128 + number
    assert signal.getsignal(number) is before


@BOTH
def test_work_that_ends_in_a_file_sees_a_flag(number: signal.Signals) -> None:
    with StopSignals() as stop:
        stop.patient = True
        assert (stop(), stop.status) == (False, 0)
        os.kill(os.getpid(), number)
        # A handler runs between two instructions.
        time.sleep(0.01)
        assert (stop(), stop.status) == (True, 128 + number)


@BOTH
def test_the_second_signal_ends_the_process(number: signal.Signals) -> None:
    process = started(["-c", STUBBORN, ROOT / "__main__.py"])
    assert process.stdout is not None
    for word in ("ready", "told"):
        assert process.stdout.readline().strip() == word
        process.send_signal(number)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 128 + number
    assert "Once more ends at once" in err
