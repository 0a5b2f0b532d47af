"""Runs the command line in a process of its own: `python launch_child.py LIBRARIES COMMAND …`.

LIBRARIES: a folder of packages that go before the host's, or "". As an argument, for a portable Python reads no
PYTHONPATH.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def put_first(libraries: str) -> None:
    """Let imports look there first."""
    # Python puts a script's folder first, and ours would shadow other packages.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != HERE]
    if libraries:
        sys.path.insert(0, libraries)


if __name__ == "__main__":
    folder, *words = sys.argv[1:]
    put_first(folder)
    main_file = HERE.parent / "__main__.py"
    sys.argv = [str(main_file), *words]
    runpy.run_path(str(main_file), run_name="__main__")
