"""`make test-matrix`: the trainer's tests on the oldest libraries that are promised and on the newest there are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {"floor": ("python3.10", "requirements-floor.txt"), "newest": ("python3.13", "requirements.txt")}
TOOLS = ("pytest==9.2.0", "pytest-timeout==2.4.0", "hypothesis>=6.100", "pillow-heif>=0.16")
TESTED = "tests/trainer"


def run(name: str) -> bool:
    """Build the row's environment, once, and test in it. PYTHON_FLOOR and PYTHON_NEWEST name another Python."""
    usual, requirements = ROWS[name]
    python = shutil.which(os.environ.get(f"PYTHON_{name.upper()}", usual))
    if python is None:
        print(f"{name}: not run, there is no {usual}; PYTHON_{name.upper()}=… names another", flush=True)
        return False
    folder = ROOT / ".cache" / "matrix" / name
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([inside, "-m", "pip", "install", "-q", "-r", ROOT / requirements, *TOOLS], check=True)
        (folder / "ready").touch()
    subprocess.run([inside, "-m", "pip", "list"], check=True)
    return subprocess.run([inside, "-m", "pytest", "-q", TESTED], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    passed = [run(name) for name in sys.argv[1:] or ROWS]
    sys.exit(0 if all(passed) else 1)
