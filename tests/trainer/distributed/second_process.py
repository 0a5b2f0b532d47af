"""The second of two processes, whose denoiser cannot be shown more images than it is told: BASE IMAGES OPTIONS."""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main(base: Path, images: int, settings: str) -> None:
    """Serve until the first process ends."""
    from dreambooth_nodes.tests.trainer.session.test_out_of_memory import hungry
    from dreambooth_nodes.trainer.distributed.processes import Processes
    from dreambooth_nodes.trainer.events import never
    from dreambooth_nodes.trainer.model.families import load_base
    from dreambooth_nodes.trainer.options import TrainOptions
    from dreambooth_nodes.trainer.session.follower import Follower

    options = TrainOptions(**json.loads(settings))
    Follower(Processes.connected(1, 2, never, False), lambda: hungry(load_base(base), images), lambda: options).serve()


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()
    status = 0
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    except Exception:
        traceback.print_exc()
        status = 1
    # At once, as the product ends a process among several; see `launcher.end`.
    sys.stderr.flush()
    os._exit(status)
