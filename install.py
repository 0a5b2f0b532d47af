"""Sees to it that there is what the pack needs. ComfyUI's manager and the WebUI run it, the WebUI at every start.

In ComfyUI it says what is missing. The WebUI's environment belongs to the WebUI: what is missing or too old there goes
into `libraries/` beside this file, for a training process of its own. Nothing but the standard library is needed here.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements.txt"
TESTED = ROOT / "requirements-floor.txt"
"""Versions that are tested together; the newest of each would leave an old torch behind."""
LIBRARIES = ROOT / "libraries"
STAMP = "complete.json"
PUT_BESIDE = ROOT / "a1111" / "put_beside.py"


class LibrariesMissing(ValueError):
    """Neither the running Python has what training needs, nor `libraries/`."""


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.11.0+cu130" is (2, 11, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def unmet(requirements: str) -> list[str]:
    """Name every `package>=floor` line that the running Python does not meet, and why."""
    return [problem for problem, _ in _looked_at(requirements).values() if problem]


def libraries_of_our_own() -> str:
    """The folder of packages that training needs before the host's; "" where the host's will do.

    Raises LibrariesMissing.
    """
    problems = unmet(_requirements())
    if not problems or _is_complete():
        return str(LIBRARIES) if problems else ""
    raise LibrariesMissing(
        f"libraries for the training are not installed ({'; '.join(problems)}). Restart the WebUI with a network: "
        f'it then runs "{Path(__file__)}", whose messages are in the console.'
    )


def in_webui() -> bool:
    """Whether the WebUI runs this: it puts its own folder on PYTHONPATH."""
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return any(Path(folder, "modules", "launch_utils.py").is_file() for folder in folders if folder)


def install_libraries() -> None:
    """Put what is missing or too old, and what that needs, into `libraries/`. Raises OSError, RuntimeError."""
    # Loaded only where there is something to do: this file runs at every start.
    put_beside = runpy.run_path(str(PUT_BESIDE))["put_beside"]
    put_beside(LIBRARIES, _stamp(), _requirements(), TESTED.read_text(encoding="utf-8"), _new_enough())


def main() -> int:
    """Return 0 where all is there; print what is missing and return 1 where it is not, and cannot be got."""
    problems = unmet(_requirements())
    if not in_webui():
        return _say(problems)
    if not problems or _is_complete():
        return 0
    try:
        install_libraries()
    except (OSError, RuntimeError) as error:
        print(f"dreambooth-nodes cannot train yet: {'; '.join(problems)}. {error}", file=sys.stderr)
        return 1
    return 0


def _say(problems: list[str]) -> int:
    if not problems:
        print("dreambooth-nodes: all requirements are met")
        return 0
    print("dreambooth-nodes cannot run yet:", *problems, sep="\n  ")
    print(f'To install them: "{sys.executable}" -m pip install -r "{REQUIREMENTS}"')
    return 1


def _requirements() -> str:
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def _looked_at(requirements: str) -> dict[str, tuple[str, str]]:
    """{package: (what is wrong with it or "", the installed version or "")}."""
    found = {}
    for name, floor in re.findall(r"(?m)^([\w-]+)>=([\d.]+)\s*$", requirements):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = f"{name} is missing (needed: {floor} or newer)", ""
            continue
        old = release(installed) < release(floor)
        found[name] = f"{name} {installed} is too old (needed: {floor} or newer)" if old else "", installed
    return found


def _new_enough() -> dict[str, str]:
    return {name: version for name, (problem, version) in _looked_at(_requirements()).items() if not problem}


def _stamp() -> dict[str, object]:
    """What `libraries/` is made for: this Python, these requirements, and the host's libraries that it goes with."""
    host = {name: release(version)[:2] for name, version in _new_enough().items()}
    python, tested = sys.version_info[:2], TESTED.read_text(encoding="utf-8")
    return {"python": python, "platform": sys.platform, "asked": _requirements(), "tested": tested, "beside": host}


def _is_complete() -> bool:
    stamp = LIBRARIES / STAMP
    if not stamp.is_file():
        return False
    now = json.loads(json.dumps(_stamp()))
    return bool(json.loads(stamp.read_text(encoding="utf-8")) == now)


if __name__ == "__main__":
    sys.exit(main())
