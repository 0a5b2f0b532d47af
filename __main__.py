"""The command line: `python FOLDER COMMAND ...`, whatever the folder is called.

A portable Python keeps the working directory off sys.path, and the root must stay off it anyway (its `nodes`
and `tests` would shadow a host's), so the folder is loaded as a package by its path.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent
PACKAGE = "dreambooth_nodes"


def load_package(root: Path = ROOT, name: str = PACKAGE) -> ModuleType:
    """Import the folder `root` as the package `name`, once, and return it."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} holds no __init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit status."""
    # Python puts a folder that it runs first on sys.path.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != ROOT]
    load_package()
    dispatch = importlib.import_module(f"{PACKAGE}.command_line.dispatch")
    return int(dispatch.main(sys.argv[1:] if words is None else words, f"python {ROOT.name}"))


if __name__ == "__main__":
    load_package()
    # Before torch is imported, and before the process is started anew.
    os.environ.update(importlib.import_module(f"{PACKAGE}.trainer.openmp").openmp_settings())
    importlib.import_module(f"{PACKAGE}.command_line.allocator").restart_tuned(sys.argv[1:])
    importlib.import_module(f"{PACKAGE}.command_line.processes").end(main())
