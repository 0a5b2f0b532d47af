"""Puts what the WebUI's Python lacks into `libraries/`, in versions that fit what is there.

install.py runs this by its path. Nothing but the standard library is needed here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from stat import S_ISREG
from typing import TextIO

PIP = ("-m", "pip", "--disable-pip-version-check", "--retries", "2", "--timeout", "20", "install")
CHECK = Path(__file__).with_name("check_libraries.py")
TOGETHER = "# These go together"
"""In requirements-floor.txt, before the packages that know each other's insides."""
STAMP = "complete.json"
REPORT = "report.json"


class NothingFits(RuntimeError):
    """No choice of versions could be installed and loaded; the message says why the last one could not."""


def put_beside(
    libraries: Path, stamp: Mapping[str, object], required: str, tested: str, host: Mapping[str, str]
) -> None:
    """Fill `libraries` with the first choice that loads beside the host's own packages, which stay as they are.

    stamp: what it was made for. required, tested: the texts of the two requirements files. host: {name: version} of
    the required packages that the host has and that are new enough. Raises NothingFits, OSError.
    """
    if importlib.util.find_spec("pip") is None:
        raise NothingFits(f'this Python has no pip: run "{sys.executable}" -m ensurepip and start the WebUI again.')
    part = libraries.with_name(f".{libraries.name}.part")
    fault = ""
    try:
        with console() as shown:
            for wanted in choices(required, tested, host):
                if not (fault := _fault(wanted, part, libraries, shown)):
                    (part / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
                    shutil.rmtree(libraries, ignore_errors=True)
                    os.replace(part, libraries)
                    _say("dreambooth-nodes: the libraries for the training are installed.", shown)
                    return
                _say(f"dreambooth-nodes: {fault}", shown)
        raise NothingFits(fault)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def console() -> Iterator[TextIO]:
    """Where the WebUI's start is watched: the WebUI keeps what an installer prints until the installer has ended."""
    for place in _consoles():
        try:
            # What is written to a file is overwritten by those who have it open.
            if S_ISREG(place.stat().st_mode):
                continue
            stream = place.open("a", encoding="utf-8", errors="replace")
        except OSError:
            continue
        with stream:
            yield stream
        return
    yield sys.stderr


def choices(required: str, tested: str, host: Mapping[str, str]) -> list[list[str]]:
    """What to ask pip for, the best first.

    What is lacking comes in the version that is tested; beside newer packages than are tested, in the newest that
    there is; else everything comes in the tested versions, whatever the host has. An old torch is never followed by
    the newest, which may need a newer driver than the host's was chosen for.
    """
    floors = dict(re.findall(r"(?m)^([\w-]+)(>=[\d.]+)\s*$", required))
    pins = dict(re.findall(r"(?m)^([\w-]+)(==[\d.]+)\s*$", tested))
    kept = {name: f"=={version}" for name, version in host.items()}
    whole = {name: pins.get(name, floor) for name, floor in floors.items()}
    oldest, newest = {**whole, **kept}, {**floors, **kept}
    together = re.findall(r"(?m)^([\w-]+)==", tested.partition(TOGETHER)[2])
    newer = any(_minor(host[name]) > _minor(pins[name]) for name in together if name in host)
    ordered = [oldest] if "torch" not in host and "torch" in floors else [newest, oldest] if newer else [oldest, newest]
    return [[f"{name}{version}" for name, version in choice.items()] for choice in (*ordered, whole)]


def _consoles() -> Iterator[Path]:
    """The stderr of the process above that does not share ours (on Linux), the terminal, the console (on Windows)."""
    ours, process = _error_stream("self"), os.getppid()
    while process > 1 and (theirs := _error_stream(str(process))):
        if theirs != ours:
            yield Path(f"/proc/{process}/fd/2")
            break
        process = int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    yield Path("CONOUT$" if sys.platform == "win32" else "/dev/tty")


def _error_stream(process: str) -> str:
    try:
        return str(Path(f"/proc/{process}/fd/2").readlink())
    except OSError:
        return ""


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _fault(wanted: list[str], part: Path, libraries: Path, shown: TextIO) -> str:
    """Install a choice into `part`; why it will not do, or ""."""
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        _say(f"dreambooth-nodes: looking for {', '.join(wanted)}", shown)
        packages = _planned(wanted, part / REPORT, shown)
        _say(f"dreambooth-nodes: installing into {libraries}, once, some minutes: {', '.join(packages)}", shown)
        _pip(shown, "--no-deps", "--target", str(part), *packages)
    except subprocess.CalledProcessError as error:
        return f"pip found no way to install {', '.join(wanted)}: {_last_line(error.stderr)}"
    check = subprocess.run(
        [sys.executable, CHECK, part], capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    return f"{', '.join(packages)} cannot be loaded here: {_last_line(check.stderr)}" if check.returncode else ""


def _planned(wanted: list[str], report: Path, shown: TextIO) -> list[str]:
    """The packages, as "name==version", that pip would install or upgrade for `wanted`; nothing is installed.

    report: a temporary file. shown: where pip's progress goes. Raises CalledProcessError.
    """
    _pip(shown, "--dry-run", "--report", str(report), *wanted)
    entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    report.unlink()
    return [f"{entry['metadata']['name']}=={entry['metadata']['version']}" for entry in entries]


def _pip(shown: TextIO, *words: str) -> None:
    """Run pip, its progress where it is watched. Raises CalledProcessError."""
    command = [sys.executable, *PIP, *_torch_index(), *words]
    subprocess.run(
        command, check=True, stdout=shown, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    )


def _say(text: str, shown: TextIO) -> None:
    print(text, file=shown, flush=True)


def _torch_index() -> list[str]:
    """Where torch for the host's CUDA comes from: "2.1.2+cu121" names it."""
    build = next((d.version.partition("+")[2] for d in metadata.distributions(name="torch")), "")
    named = os.environ.get("TORCH_INDEX_URL") or (f"https://download.pytorch.org/whl/{build}" if build else "")
    return ["--extra-index-url", named] if named else []


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
