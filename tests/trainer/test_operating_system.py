"""Windows by simulation: no test here has run on it. What it refuses is raised in its place."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from dreambooth_nodes.machine_check.apple import LIMITS
from dreambooth_nodes.trainer import operating_system
from dreambooth_nodes.trainer.files.atomic import next_numbered_path, write_atomically, write_json
from dreambooth_nodes.trainer.operating_system import (
    LONGEST_PATH,
    end_group,
    link_or_copy,
    long_paths,
    own_group,
    replace_path,
    require_path_length,
    same_drive,
    wait_with_peak,
)
from dreambooth_nodes.trainer.runs.personalized import FileNameError, checked_name, fitted_name

ROOT = Path(__file__).resolve().parents[2]
REALLY = os.replace


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating_system, "WINDOWS", True)


def refused(times: int) -> Callable[[Any, Any], None]:
    """os.replace where another program holds the file for the first `times` tries."""
    left = [times]

    def replace(source: Any, target: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file because it is being used", str(target))
        REALLY(source, target)

    return replace


def registry(value: int | None) -> Any:
    """The module winreg, with LongPathsEnabled; None: the value is not there."""

    class Key:
        def __enter__(self) -> Key:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def query(key: Key, name: str) -> tuple[int, int]:
        if value is None:
            raise FileNotFoundError(name)
        return value, 4

    return types.SimpleNamespace(HKEY_LOCAL_MACHINE=0, OpenKey=lambda root, path: Key(), QueryValueEx=query)


def test_a_file_that_is_held_for_a_moment_is_replaced(
    windows: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = write_json({"a": 1}, tmp_path / "run.json")
    monkeypatch.setattr(os, "replace", refused(3))
    assert write_json({"a": 2}, target).read_text(encoding="utf-8") == '{\n "a": 2\n}'
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_a_file_that_stays_open_is_left_as_it_is_and_the_way_out_is_said(
    windows: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target, part = tmp_path / "lora.safetensors", tmp_path / "part"
    target.write_bytes(b"before")
    part.write_bytes(b"after")
    monkeypatch.setattr(os, "replace", refused(10**9))
    with pytest.raises(PermissionError, match="close that program") as told:
        replace_path(part, target, seconds=0.3)
    assert told.value.filename == str(target)
    assert target.read_bytes() == b"before" and part.read_bytes() == b"after"


def test_elsewhere_a_refused_rename_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tries: list[int] = []

    def replace(source: Any, target: Any) -> None:
        tries.append(1)
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "a", lambda part: part.write_bytes(b""))
    assert tries == [1] and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("value", "allowed"), [(1, True), (0, False), (None, False)])
def test_long_paths_are_refused_where_windows_does_not_take_them(
    windows: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: int | None, allowed: bool
) -> None:
    monkeypatch.setitem(sys.modules, "winreg", registry(value))
    assert long_paths() is allowed
    require_path_length(tmp_path / "short")
    long = tmp_path / ("y" * LONGEST_PATH)
    if allowed:
        require_path_length(long)
    else:
        with pytest.raises(OSError, match="LongPathsEnabled"):
            write_json({}, long)
    assert not [*tmp_path.iterdir()]


def test_a_share_is_a_drive_of_its_own() -> None:
    share = PureWindowsPath(r"\\nas\photos\output")
    assert same_drive(share, PureWindowsPath(r"\\NAS\photos\output\loras\a.safetensors"))
    assert not same_drive(share, PureWindowsPath(r"\\nas\other\a.safetensors"))
    assert not same_drive(share, PureWindowsPath(r"C:\output")) and same_drive(
        PureWindowsPath("c:/a"), PureWindowsPath("C:/b")
    )


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "LPT9.txt", "COM²", "conin$", "aux.tar.gz"])
def test_names_that_windows_reserves_are_refused_and_made_to_fit(name: str) -> None:
    with pytest.raises(FileNameError, match="reserved by Windows"):
        checked_name(name)
    assert fitted_name(name).startswith("_")


def test_a_folder_that_takes_no_notice_of_case_gets_no_number_twice(tmp_path: Path) -> None:
    (tmp_path / "DOG_00004.SAFETENSORS").touch()
    assert next_numbered_path(tmp_path, "dog").name == "dog_00005.safetensors"


def test_a_link_that_windows_does_not_allow_is_a_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def symlink_to(self: Path, target: Path) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    (tmp_path / "a").write_bytes(b"weights")
    monkeypatch.setattr(Path, "symlink_to", symlink_to)
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"weights" and not (tmp_path / "b").is_symlink()


def test_a_process_is_ended_where_there_are_no_groups(windows: None) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(words)
    end_group(process, at_once=True)
    assert wait_with_peak(process) == 0 and process.returncode not in (0, None)
    assert set(own_group()) == {"creationflags"}


def test_operators_that_apples_gpus_lack_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert operating_system.apple_settings() == {"PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "0")
    assert operating_system.apple_settings() == {}


def test_the_readme_says_what_apples_gpus_lack() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [what for what in LIMITS if f"| {what} |" not in readme] == []


def test_a_console_of_cp1252_shows_every_help_text() -> None:
    """Its flags' texts hold λ and γ, which that code page lacks; strict, as a file that output is sent to."""
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252:strict", "PYTHONUTF8": "0"}
    for words in (["--help"], ["train", "--help"], ["check", "--help"], ["explain", "--help"]):
        answer = subprocess.run([sys.executable, str(ROOT), *words], env=environment, capture_output=True, check=False)
        assert answer.returncode == 0, answer.stderr.decode("cp1252", "replace")
        assert answer.stdout.decode("cp1252")


def test_the_package_can_be_imported_by_a_process_that_was_spawned(tmp_path: Path) -> None:
    """As on Windows and macOS: nothing that a fork would have handed on is needed."""
    code = (
        "import multiprocessing, runpy, sys\n"
        f"ROOT = {str(ROOT)!r}\n"
        "def work(out):\n"
        "    runpy.run_path(ROOT + '/__main__.py', run_name='spawned')['load_package']()\n"
        "    from dreambooth_nodes.trainer.options import TrainOptions\n"
        "    out.put(TrainOptions().steps)\n"
        "if __name__ == '__main__':\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    out = spawn.Queue()\n"
        "    child = spawn.Process(target=work, args=(out,))\n"
        "    child.start(); print(out.get(timeout=600)); child.join()\n"
    )
    script = tmp_path / "spawned.py"
    script.write_text(code, encoding="utf-8")
    answer = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "800", answer.stderr
