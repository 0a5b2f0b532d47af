"""The Gradios of Automatic1111 and Forge, and what drives a browser: from PyPI, once, under `.cache/webui`.

Beside `.venv`, not in it: each is a folder that goes before .venv's packages. Together about 270 MB to download, a
minute and a half.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "webui"
# As the hosts' own requirements pin them, where a newer one would not do.
COMMON = ("httpx==0.24.1", "httpcore==0.15", "numpy==1.26.2", "pillow==9.5.0", "pandas<2.3", "matplotlib<3.9")
PACKAGES = {
    "a1111": ("gradio==3.41.2", "fastapi==0.94.0", *COMMON),
    "forge": ("gradio==4.40.0", "fastapi==0.104.1", "pydantic==2.8.2", "huggingface-hub==0.26.2", *COMMON),
    "browser": ("playwright==1.65.2",),
}
# A1111 1.10's, of what meets the training; the rest of its libraries would only be more to fetch.
A1111_LIBRARIES = ("torch==2.1.2", "transformers==4.30.2", "accelerate==0.21.0", "safetensors==0.4.2")
PIP = ("-m", "pip", "install", "--quiet", "--prefer-binary", "--retries", "10", "--timeout", "60")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def packages(name: str) -> Path:
    """The folder of one set, made if it is not there."""
    folder = CACHE / name
    if not folder.is_dir():
        part = folder.with_name(f".{name}.part")
        shutil.rmtree(part, ignore_errors=True)
        pip = (sys.executable, *PIP, "--target", str(part))
        subprocess.run([*pip, *PACKAGES[name]], check=True)
        part.rename(folder)
    return folder


def a1111_python() -> Path:
    """A Python with A1111's own libraries and Gradio, as its venv has them: 5 GB, some minutes, once."""
    folder = CACHE / "a1111-python"
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = (str(python), *PIP)
        subprocess.run([*pip, *A1111_LIBRARIES, *PACKAGES["a1111"]], check=True)
        (folder / "complete").touch()
    return python


def browser() -> str | None:
    """A Chromium that is installed, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
