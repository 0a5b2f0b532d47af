"""The time that an OpenMP thread spins while it waits for other threads, before it sleeps.

GNU's OpenMP, which torch uses on Linux, spins for about 3 ms. On a busy machine the thread that is waited for is not
scheduled meanwhile, and a training nearly stops (figures: bench/README.md). The library reads its settings once, when
torch is first imported, so they are set at the start of a process. They change no results. This module does not import
torch.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""The environment variables: https://gcc.gnu.org/onlinedocs/libgomp/Environment-Variables.html"""
IDLE = {"GOMP_SPINCOUNT": "10000"}
"""The settings for an idle machine, about 0.1 ms of spinning: as fast as the default there, with less loss where other
processes start later.
"""
BUSY = {"OMP_WAIT_POLICY": "passive"}
"""The settings for a busy machine, no spinning: several times faster there, and a sixth slower on an idle one."""
LOOKS, SECONDS_BETWEEN_LOOKS = 6, 0.02
"""How often, and at which interval, the machine's load is read."""
LOAD = Path("/proc/loadavg")
"""The file in which Linux reports running threads."""


def openmp_settings() -> dict[str, str]:
    """The environment variables for a process that trains, by the machine's present load.

    Empty where the user has set one of SETTINGS, and where the platform is not Linux.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return {}
    return BUSY if is_busy() else IDLE


def is_busy() -> bool:
    """Whether other processes occupy at least half as many CPUs as this process may use. Takes 0.1 s."""
    return other_runnable_threads() >= len(os.sched_getaffinity(0)) / 2


def other_runnable_threads() -> float:
    """The mean number of the machine's threads that run or wait for a CPU, besides the calling one; 0 where Linux does
    not report it.
    """
    others = 0
    for look in range(LOOKS):
        if look:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        try:
            running = LOAD.read_text(encoding="utf-8").split()[3].partition("/")[0]
        except OSError:
            return 0.0
        others += int(running) - 1
    return others / LOOKS
