"""Which ComfyUI and which Python the demo and the tests take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dreambooth_nodes.demo.environment import (
    COMFYUI,
    CONSTRAINTS,
    SetUpError,
    comfyui_folder,
    comfyui_python,
    interpreter,
    pip_arguments,
    requirement_files,
)


@pytest.fixture
def own_comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that COMFYUI_DIR names, with a main.py."""
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    return tmp_path


def test_without_comfyui_dir_the_fetched_one_runs_in_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMFYUI_DIR", raising=False)
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    assert (comfyui_folder(), comfyui_python()) == (COMFYUI, None)
    assert pip_arguments()[:2] == ["--constraint", CONSTRAINTS]


def test_comfyui_dir_is_taken_and_its_requirements_with_it(own_comfyui: Path) -> None:
    assert comfyui_folder() == own_comfyui
    assert requirement_files()[-1] == own_comfyui / "requirements.txt"
    assert "--constraint" not in pip_arguments(), "it asks for versions of its own"


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_an_environment_in_the_users_comfyui_is_used_and_nothing_installed_for_it(own_comfyui: Path, name: str) -> None:
    python = interpreter(own_comfyui / name)
    python.parent.mkdir(parents=True)
    python.touch()
    assert comfyui_python() == python
    assert own_comfyui / "requirements.txt" not in requirement_files()


def test_comfyui_python_comes_first(own_comfyui: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_PYTHON", sys.executable)
    assert comfyui_python() == Path(sys.executable)


@pytest.mark.parametrize("variable", ["COMFYUI_DIR", "COMFYUI_PYTHON"])
def test_a_path_that_is_not_there_is_named(own_comfyui: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, str(own_comfyui / "missing"))
    with pytest.raises(SetUpError, match=f"{variable}=.*missing"):
        comfyui_python()
