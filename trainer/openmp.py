"""How long an OpenMP thread spins where it waits for the others, before it sleeps.

GNU's OpenMP, which torch brings on Linux, spins for about 3 ms. On a busy machine the thread that is waited for does
not run meanwhile, and a training all but stops (figures: bench/README.md). The library reads its settings once, when
torch is first imported, so they are for the start of a process. Neither of them changes a result. Imports no torch.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""https://gcc.gnu.org/onlinedocs/libgomp/Environment-Variables.html"""
IDLE = {"GOMP_SPINCOUNT": "10000"}
"""About 0.1 ms: as fast as the default on an idle machine, and less is lost where others come to it later."""
BUSY = {"OMP_WAIT_POLICY": "passive"}
"""No spinning: a sixth slower on an idle machine, several times faster on a busy one."""
LOOKS, SECONDS_BETWEEN_LOOKS = 6, 0.02
LOAD = Path("/proc/loadavg")


def openmp_settings() -> dict[str, str]:
    """What the environment of a process that trains is given, by how busy the machine is now.

    Nothing where the user has set either of SETTINGS, and where OpenMP is not GNU's.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return {}
    return BUSY if is_busy() else IDLE


def is_busy() -> bool:
    """Whether other processes keep half of the CPUs that this one may use, or more. Takes 0.1 s."""
    return other_runnable_threads() >= len(os.sched_getaffinity(0)) / 2


def other_runnable_threads() -> float:
    """Threads of the machine that run or wait for a CPU, beside the one that asks; 0 where Linux does not tell."""
    others = 0
    for look in range(LOOKS):
        if look:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        try:
            running = LOAD.read_text().split()[3].partition("/")[0]
        except OSError:
            return 0.0
        others += int(running) - 1
    return others / LOOKS
