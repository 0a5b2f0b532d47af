"""The Gradios of Automatic1111 and Forge, and what drives a browser: from PyPI, once, under `.cache/webui`.

Beside `.venv`, not in it: each is a folder that goes before .venv's packages. Together about 270 MB to download, a
minute and a half.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "webui"
LOCKED = Path(__file__).with_name("environments")
"""A requirements file with every version for each set; `make lock` writes NAME.txt from NAME.in."""
PIP = ("-m", "pip", "install", "--quiet", "--no-compile", "--prefer-binary", "--retries", "10", "--timeout", "60")
"""Without compiling: of these packages a test imports a few modules, which Python then compiles itself."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def locked(name: str) -> Path:
    """The requirements file of one set."""
    return LOCKED / f"{name}.txt"


def cached(name: str) -> Path:
    """Where a set is kept: another folder for other versions."""
    return CACHE / f"{name}-{hashlib.sha256(locked(name).read_bytes()).hexdigest()[:8]}"


def packages(name: str) -> Path:
    """The folder of one set, made if it is not there."""
    folder = cached(name)
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        pip = (sys.executable, *PIP, "--target", str(part))
        subprocess.run([*pip, "--no-deps", "-r", str(locked(name))], check=True)
        part.rename(folder)
    return folder


def a1111_python() -> Path | None:
    """A Python 3.10 with A1111's own libraries and Gradio, as its venv has them: 5 GB, some minutes, once. None: there
    is no Python 3.10."""
    folder = cached("a1111-python")
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        interpreter = _python_3_10()
        if interpreter is None:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
        pip = (str(python), *PIP)
        subprocess.run([*pip, "--no-deps", "-r", str(locked("a1111-python"))], check=True)
        (folder / "complete").touch()
    return python


def _python_3_10() -> str | None:
    """The Python that PYTHON_FLOOR names, python3.10, or pyenv's; the first that is there and is a 3.10."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.10.*/bin/python")
    for named in (os.environ.get("PYTHON_FLOOR", ""), "python3.10", *map(str, sorted(pyenv))):
        # pyenv's python3.10 is on PATH also where it only says that another has to be chosen.
        if found := shutil.which(named):
            said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
            if said.startswith("Python 3.10."):
                return found
    return None


def browser() -> str | None:
    """A Chromium that is installed, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
