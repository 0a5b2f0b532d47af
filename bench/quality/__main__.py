"""`python -m bench.quality`, in the repository's root: the same as `python . bench-quality`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    command_line = runpy.run_path(str(Path(__file__).resolve().parents[2] / "__main__.py"), run_name="command_line")
    sys.exit(command_line["main"](["bench-quality", *sys.argv[1:]]))
