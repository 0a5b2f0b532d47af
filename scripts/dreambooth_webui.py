"""What the WebUI loads, flat: hands over to the package `a1111`.

The WebUI runs every file of this folder as a module without a package, with the extension's root on sys.path only
while it does. So the root is loaded as a package by its path, under a name of its own. ComfyUI looks at none of this.
"""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

load_package = runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_loader")["load_package"]
package = load_package(ROOT)
importlib.import_module(f"{package.__name__}.a1111.extension").register()
