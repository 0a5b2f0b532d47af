"""Sees to it that there is what the pack needs. ComfyUI's manager and the WebUI run it, the WebUI at every start.

In ComfyUI it says what is missing. The WebUI's environment belongs to the WebUI: what is missing or too old there goes
into `libraries/` beside this file, for a training process of its own. Nothing but the standard library is needed here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements.txt"
TESTED = ROOT / "requirements-floor.txt"
"""Versions that are tested together; the newest of each would leave an old torch behind."""
LIBRARIES = ROOT / "libraries"
STAMP = "complete.json"
PIP = ("-m", "pip", "--disable-pip-version-check", "--retries", "2", "--timeout", "20", "install")


class LibrariesMissing(ValueError):
    """Neither the running Python has what training needs, nor `libraries/`."""


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.11.0+cu130" is (2, 11, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def unmet(requirements: str) -> list[str]:
    """Name every `package>=floor` line that the running Python does not meet, and why."""
    problems = []
    for name, floor in re.findall(r"(?m)^([\w-]+)>=([\d.]+)\s*$", requirements):
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            problems.append(f"{name} is missing (needed: {floor} or newer)")
            continue
        if release(installed) < release(floor):
            problems.append(f"{name} {installed} is too old (needed: {floor} or newer)")
    return problems


def libraries_of_our_own() -> str:
    """The folder of packages that training needs before the host's; "" where the host's will do.

    Raises LibrariesMissing.
    """
    problems = unmet(_requirements())
    if not problems or _is_complete(problems):
        return str(LIBRARIES) if problems else ""
    raise LibrariesMissing(
        f"libraries for the training are not installed ({'; '.join(problems)}). Restart the WebUI with a network: "
        f'it then runs "{Path(__file__)}", whose messages are in the console.'
    )


def in_webui() -> bool:
    """Whether the WebUI runs this: it puts its own folder on PYTHONPATH."""
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return any(Path(folder, "modules", "launch_utils.py").is_file() for folder in folders if folder)


def install_libraries(problems: list[str]) -> None:
    """Put what is missing or too old, and what that needs, into `libraries/`. Raises OSError, CalledProcessError."""
    wanted, index = _wanted(problems), _torch_index()
    # What pip would add to this environment, without adding it; then just that, elsewhere.
    planned = subprocess.run(
        [sys.executable, *PIP, "--quiet", "--dry-run", "--report", "-", *index, *wanted],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    packages = [f"{p['metadata']['name']}=={p['metadata']['version']}" for p in json.loads(planned.stdout)["install"]]
    print(f"dreambooth-nodes: installing into {LIBRARIES}, once: {', '.join(packages)}", flush=True)
    part = LIBRARIES.with_name(f".{LIBRARIES.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    command = [sys.executable, *PIP, "--quiet", "--no-deps", "--target", str(part), *index, *packages]
    subprocess.run(command, check=True)
    (part / STAMP).write_text(json.dumps(_stamp(problems)), encoding="utf-8")
    shutil.rmtree(LIBRARIES, ignore_errors=True)
    os.replace(part, LIBRARIES)


def main() -> int:
    """Return 0 where all is there; print what is missing and return 1 where it is not, and cannot be got."""
    problems = unmet(_requirements())
    if not in_webui():
        return _say(problems)
    if not problems or _is_complete(problems):
        return 0
    try:
        install_libraries(problems)
    except (OSError, subprocess.CalledProcessError) as error:
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


def _wanted(problems: list[str]) -> list[str]:
    """All that is required; what the host lacks, in the version that is tested."""
    lacking = {problem.split()[0] for problem in problems}
    tested = dict(re.findall(r"(?m)^([\w-]+)(==[\d.]+)\s*$", TESTED.read_text(encoding="utf-8")))
    floors = re.findall(r"(?m)^([\w-]+)(>=[\d.]+)\s*$", _requirements())
    return [f"{name}{tested.get(name, floor) if name in lacking else floor}" for name, floor in floors]


def _stamp(problems: list[str]) -> dict[str, object]:
    return {"python": sys.version_info[:2], "platform": sys.platform, "asked": _wanted(problems), "for": problems}


def _is_complete(problems: list[str]) -> bool:
    """Whether `libraries/` was made for this Python, these requirements and these shortcomings of the host."""
    stamp = LIBRARIES / STAMP
    if not stamp.is_file():
        return False
    now = json.loads(json.dumps(_stamp(problems)))
    return bool(json.loads(stamp.read_text(encoding="utf-8")) == now)


def _torch_index() -> list[str]:
    """Where torch for the host's CUDA comes from: "2.1.2+cu121" names it."""
    build = next((d.version.partition("+")[2] for d in metadata.distributions(name="torch")), "")
    named = os.environ.get("TORCH_INDEX_URL") or (f"https://download.pytorch.org/whl/{build}" if build else "")
    return ["--extra-index-url", named] if named else []


if __name__ == "__main__":
    sys.exit(main())
