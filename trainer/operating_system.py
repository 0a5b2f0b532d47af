"""What differs between Linux, macOS and Windows: renames, long paths, signals, process groups, a process's memory.

The only module that imports what one of them lacks (tests/test_layout.py). Nothing here imports torch.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

WINDOWS = sys.platform == "win32"
STOP = signal.SIGTERM
"""The signal by which a program asks another to end; on Windows only a process itself can send it."""
STOP_SIGNALS = (signal.SIGINT, STOP)
RENAME_SECONDS, SECONDS_BETWEEN_TRIES = 5.0, 0.1
"""For how long a rename is tried again: a virus scanner or a viewer holds a new file for a moment."""
LONGEST_PATH = 259
"""Characters of a path that Windows takes where long paths are switched off."""
LONG_PATHS = r"SYSTEM\CurrentControlSet\Control\FileSystem"
RESERVED = {
    "con", "prn", "aux", "nul", "conin$", "conout$", *(f"{port}{i}" for port in ("com", "lpt") for i in "123456789¹²³"),
}  # fmt: skip
"""File names, in lower case and without an ending, that Windows reserves."""
Handler = Callable[[int, FrameType | None], Any]


def replace_path(source: Path, target: Path, seconds: float = RENAME_SECONDS) -> None:
    """Rename `source` to `target`, replacing what is there, as one step.

    On Windows a file that another program has open cannot be replaced: the rename is tried again for `seconds`. Raises
    PermissionError, saying what to do, where it still is; `source` is then left as it is.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            os.replace(source, target)
        except PermissionError as error:
            if time.monotonic() >= end or not (WINDOWS or getattr(error, "winerror", None)):
                raise _said_of(error, target) from error
            time.sleep(SECONDS_BETWEEN_TRIES)
        else:
            return


def _said_of(error: PermissionError, target: Path) -> PermissionError:
    """The error of a rename that was refused, with what the user can do."""
    way = "another program has it open, or the folder may not be written to: close that program, and try again"
    return PermissionError(error.errno, f"{error.strerror} ({way})", str(target))


def link_or_copy(source: Path, target: Path) -> None:
    """Create `target` as a symbolic link to `source`, or as a copy: Windows lets only some users make links."""
    try:
        target.symlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def require_path_length(path: Path, more: int = 0) -> None:
    """Raises OSError for a path that Windows does not take where long paths are switched off.

    more: characters of the longest name beside it, such as a temporary one's ending.
    """
    if WINDOWS and len(str(path.absolute())) + more > LONGEST_PATH and not long_paths():
        raise OSError(
            f"{path.name!r}: its path has {len(str(path.absolute()))} characters, and Windows takes {LONGEST_PATH}. "
            "Choose a folder nearer to the drive, or switch long paths on (LongPathsEnabled in the registry)."
        )


def long_paths() -> bool:
    """Whether Windows takes long paths, by its registry; True on other systems."""
    if not WINDOWS:
        return True
    registry = importlib.import_module("winreg")
    try:
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, LONG_PATHS) as key:
            return bool(registry.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        # The value is not there where nobody has set it.
        return False


def same_drive(one: PurePath, other: PurePath) -> bool:
    """Whether two absolute paths are on one drive or share, so that one can be told from the other."""
    return one.anchor.lower() == other.anchor.lower()


def handle_signals(handler: Handler, numbers: tuple[int, ...] = STOP_SIGNALS) -> dict[int, Any]:
    """Have `handler` called with each of these signals; returns the handlers before, for `restore_signals`."""
    return {number: signal.signal(number, handler) for number in numbers}


def restore_signals(before: Mapping[int, Any]) -> None:
    """Put the handlers back that `handle_signals` has returned."""
    for number, handler in before.items():
        signal.signal(number, handler)


def exit_on_stop() -> None:
    """Turn a SIGTERM into SystemExit, so that what was started is ended on the way out, as after Ctrl-C."""
    handle_signals(lambda number, frame: sys.exit(128 + number), (STOP,))


def signal_name(number: int) -> str:
    """Such as "SIGTERM"."""
    return signal.Signals(number).name


def apple_settings() -> dict[str, str]:
    """Environment variables for a process that trains on an Apple GPU: operators that it lacks run on the CPU.

    To be set before torch is imported; empty on other systems, and where the user has set it.
    """
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    return {name: "1"} if sys.platform == "darwin" and name not in os.environ else {}


def own_group() -> dict[str, Any]:
    """Arguments of Popen for a process that Ctrl-C does not reach, and that `end_group` ends with all it started."""
    if WINDOWS:
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True}


def end_group(process: subprocess.Popen[Any], at_once: bool) -> None:
    """Ask a process of a group of its own to end, with all that it started; at_once: end it without asking.

    On Windows nothing can be asked, and only the process itself is ended.
    """
    if WINDOWS:
        process.terminate()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL if at_once else signal.SIGTERM)
    except ProcessLookupError:
        return


def peak_of_children() -> int:
    """The most resident bytes of any one process that this one has waited for; 0 where the system does not tell."""
    if WINDOWS:
        return 0
    resource = importlib.import_module("resource")
    return int(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * _bytes_per_unit()


def wait_with_peak(process: subprocess.Popen[Any]) -> int:
    """Wait for a process; its exit status is then in `returncode`. Returns its most resident bytes, 0 where the system
    does not tell.
    """
    if WINDOWS:
        process.wait()
        return 0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return int(usage.ru_maxrss) * _bytes_per_unit()


def _bytes_per_unit() -> int:
    """Of ru_maxrss."""
    return 1 if sys.platform == "darwin" else 1024
