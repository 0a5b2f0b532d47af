"""The Gradios of Automatic1111 and Forge, and what drives a browser: from PyPI, once, under `.cache/webui`.

Beside `.venv`, not in it: each is a folder that goes before .venv's packages. Together about 270 MB to download, a
minute and a half.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "webui"
LOCKED = Path(__file__).with_name("environments")
"""A requirements file with every version for each set; `make lock` writes NAME.txt from NAME.in."""
PIP = ("-m", "pip", "install", "--quiet", "--prefer-binary", "--retries", "10", "--timeout", "60")
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


def a1111_python() -> Path:
    """A Python with A1111's own libraries and Gradio, as its venv has them: 5 GB, some minutes, once."""
    folder = cached("a1111-python")
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = (str(python), *PIP)
        subprocess.run([*pip, "--no-deps", "-r", str(locked("a1111-python"))], check=True)
        (folder / "complete").touch()
    return python


def browser() -> str | None:
    """A Chromium that is installed, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
