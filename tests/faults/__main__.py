"""`python -m tests.faults`, in the repository's root."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    runpy.run_path(str(root / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()
    from dreambooth_nodes.tests.faults.command import main

    sys.exit(main())
