"""`python FOLDER ...`, from any directory, under any folder name, with a Python that hides the working directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.tests.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("__init__.py", "__main__.py", "install.py", "requirements.txt")
CODE = ("command_line", "trainer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The root's own files and the commands in a folder whose name is no Python identifier."""
    copy = tmp_path / "dream booth-nodes.v1"
    copy.mkdir()
    for name in COPIED:
        shutil.copy(ROOT / name, copy)
    for name in CODE:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    # -I: no working directory and no PYTHONPATH on sys.path, as in a portable Python.
    command = [sys.executable, "-I", *(str(word) for word in words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)


def test_help_names_the_commands(folder: Path, tmp_path: Path) -> None:
    answer = run(folder, "--help", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert {"train", "priors", "identifier", "toybase", "demo"} <= set(answer.stdout.split())


def test_an_unknown_command_is_refused(folder: Path, tmp_path: Path) -> None:
    answer = run(folder, "sing", cwd=tmp_path)
    assert answer.returncode == 2
    assert "sing" in answer.stderr


def test_the_root_is_a_package_and_off_sys_path(folder: Path, tmp_path: Path) -> None:
    """Inside a host the root's `nodes` and `tests` must not shadow the host's."""
    (folder / "nodes").mkdir()
    (folder / "nodes" / "__init__.py").touch()
    program = tmp_path / "program.py"
    program.write_text(
        "import runpy, sys, importlib.util\n"
        f"sys.argv = ['main', 'sing']; sys.path.insert(0, {str(folder)!r})\n"
        f"try: runpy.run_path({str(folder / '__main__.py')!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(importlib.util.find_spec('nodes'), importlib.util.find_spec('dreambooth_nodes.nodes') is not None)\n"
    )
    answer = run(program, cwd=tmp_path)
    assert answer.stdout.split() == ["None", "True"], answer.stderr


def test_no_command_is_asked_for_before_something_heavy_is_imported(folder: Path, tmp_path: Path) -> None:
    """`--help` answers at once, and the measuring process of the bench stays small."""
    program = tmp_path / "program.py"
    program.write_text(
        "import runpy, sys\n"
        f"main = runpy.run_path({str(folder / '__main__.py')!r}, run_name='heavy')['main']\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print([name for name in ('torch', 'numpy', 'diffusers', 'PIL') if name in sys.modules])\n"
    )
    answer = run(program, cwd=tmp_path)
    assert answer.stdout.splitlines()[-2:] == ["0", "[]"], answer.stderr
    assert "Exit status" in answer.stdout


def test_install_names_what_is_missing_or_too_old(folder: Path, tmp_path: Path) -> None:
    assert run(folder / "install.py", cwd=tmp_path).returncode == 0
    (folder / "requirements.txt").write_text("torch>=999.0\nno-such-package-here>=1.2\n")
    answer = run(folder / "install.py", cwd=tmp_path)
    assert answer.returncode == 1
    assert "torch" in answer.stdout
    assert "no-such-package-here is missing" in answer.stdout
