"""Says whether this Python has what the pack needs. ComfyUI's manager runs it after requirements.txt."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


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


def main() -> int:
    """Print what is missing and return 1, or say that all is there and return 0."""
    problems = unmet(REQUIREMENTS.read_text(encoding="utf-8"))
    if not problems:
        print("dreambooth-nodes: all requirements are met")
        return 0
    print("dreambooth-nodes cannot run yet:", *problems, sep="\n  ")
    print(f'To install them: "{sys.executable}" -m pip install -r "{REQUIREMENTS}"')
    return 1


if __name__ == "__main__":
    sys.exit(main())
