"""One of two ranks that train together, whose denoiser cannot be shown more images than it is told.

BASE OUTPUT IMAGES SETTINGS: the settings of the trainings, one after the other, each in a folder of OUTPUT by its
number; "stop_after" among them is the number of forwards after which the second rank wants to stop. The first rank
prints the warnings and losses of each as a line of JSON.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def main(base: Path, output: Path, images: int, trainings: str) -> None:
    """Train as this rank."""
    import torch

    from dreambooth_nodes.trainer.distributed.ranks import Ranks

    ranks = Ranks.started(torch.device("cpu"), sharded=False)
    try:
        for number, settings in enumerate(json.loads(trainings)):
            train(base, output / str(number), images, settings, ranks)
    except BaseException as error:
        ranks.note(error)
        raise
    finally:
        ranks.leave()


def train(base: Path, output: Path, images: int, settings: dict[str, Any], ranks: Any) -> None:
    """One training of both ranks."""
    from dreambooth_nodes.tests.trainer.session.test_out_of_memory import hungry
    from dreambooth_nodes.trainer.events import Event, Warned
    from dreambooth_nodes.trainer.model.families import load_base
    from dreambooth_nodes.trainer.options import TrainOptions
    from dreambooth_nodes.trainer.runs.request import Request
    from dreambooth_nodes.trainer.runs.store import Store
    from dreambooth_nodes.trainer.session.personalize import personalize
    from dreambooth_nodes.trainer.subject.photos import read_folder
    from dreambooth_nodes.trainer.subject.subject import Subject

    events: list[Event] = []
    forwards: list[object] = []
    stop_after = settings.pop("stop_after", None)
    loaded = hungry(load_base(base), images)
    loaded.denoiser.register_forward_pre_hook(lambda *shown: forwards.append(len(shown)))

    def stop() -> bool:
        return not ranks.first and stop_after is not None and len(forwards) >= stop_after

    subject = Subject(read_folder(ROOT / "toybase" / "subjects" / "spotted_dog", 64, 64), "dog", 64, 64)
    request = Request(subject=subject, identifier="ohwx", options=TrainOptions(**settings), name="dog", priors=None)
    store = Store(output / "loras", output / "checkpoints", output / "dreambooth")
    result, run = personalize(loaded, request, store, events.append, stop, ranks=ranks)
    if ranks.first:
        warnings = [event.text for event in events if isinstance(event, Warned)]
        losses = [step.instance for step in run.losses()]
        print(json.dumps({"warnings": warnings, "losses": losses, "steps": result.steps}))


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
