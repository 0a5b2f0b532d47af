"""One of two ranks that train together, whose denoiser cannot be shown more images than it is told.

BASE OUTPUT IMAGES SETTINGS: the first rank prints its warnings and losses as JSON.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main(base: Path, output: Path, images: int, settings: str) -> None:
    """Train as this rank."""
    import torch

    from dreambooth_nodes.tests.trainer.session.test_out_of_memory import hungry
    from dreambooth_nodes.trainer.distributed.ranks import Ranks
    from dreambooth_nodes.trainer.events import Event, Warned
    from dreambooth_nodes.trainer.model.families import load_base
    from dreambooth_nodes.trainer.options import TrainOptions
    from dreambooth_nodes.trainer.runs.request import Request
    from dreambooth_nodes.trainer.runs.store import Store
    from dreambooth_nodes.trainer.session.personalize import personalize
    from dreambooth_nodes.trainer.subject.photos import read_folder
    from dreambooth_nodes.trainer.subject.subject import Subject

    events: list[Event] = []
    ranks = Ranks.started(torch.device("cpu"), sharded=False)
    subject = Subject(read_folder(ROOT / "toybase" / "subjects" / "spotted_dog", 64, 64), "dog", 64, 64)
    request = Request(
        subject=subject, identifier="ohwx", options=TrainOptions(**json.loads(settings)), name="dog", priors=None
    )
    store = Store(output / "loras", output / "checkpoints", output / "dreambooth")
    try:
        _, run = personalize(hungry(load_base(base), images), request, store, events.append, ranks=ranks)
    except BaseException as error:
        ranks.note(error)
        raise
    finally:
        ranks.leave()
    if ranks.first:
        warnings = [event.text for event in events if isinstance(event, Warned)]
        print(json.dumps({"warnings": warnings, "losses": [step.instance for step in run.losses()]}))


if __name__ == "__main__":
    runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()
    status = 0
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    except Exception:
        traceback.print_exc()
        status = 1
    # At once, as the product ends a process among several; see `processes.end`.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
