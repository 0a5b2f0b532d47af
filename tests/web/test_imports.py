"""The scripts of ComfyUI's page import each other one way."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from dreambooth_nodes.demo.environment import ROOT

WEB = ROOT / "web"
IMPORT = re.compile(r'^import [^;]*?"(\.[^"]+)";', re.MULTILINE)


def imported() -> dict[Path, set[Path]]:
    """The pack's own scripts that each of its scripts imports."""
    found = {}
    for file in WEB.rglob("*.js"):
        named = IMPORT.findall(file.read_text(encoding="utf-8"))
        found[file] = {path for name in named if WEB in (path := (file.parent / name).resolve()).parents}
    return found


def test_every_import_names_a_script_that_is_there() -> None:
    assert all(path.is_file() for paths in imported().values() for path in paths)


def test_no_script_imports_itself_by_a_detour() -> None:
    try:
        TopologicalSorter(imported()).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(str(path.relative_to(WEB)) for path in error.args[1]))
