"""TrainLoraNode in a real ComfyUI, shown as a progress bar: the contender of the quality bench, without the looks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ...demo.messages import Message
from ...trainer.operating_system import exit_on_stop, peak_of_children
from ..quality.contender import Work
from ..quality.rivals.train_lora_graph import TRAIN
from ..quality.rivals.train_lora_node import train_in_host
from .materials import CLASS_NOUN, IDENTIFIER, LEARNING_RATES, Materials, Task, heard, read_materials


def main(words: Sequence[str]) -> None:
    """MATERIALS TASK OUTPUT, as contenders.node_command says them."""
    exit_on_stop()
    folder, task, output = words
    work = work_of(read_materials(Path(folder)), heard(task))
    host = Path(output)
    host.mkdir(parents=True)

    moments: list[float] = []

    def show(message: Message) -> None:
        if not moments:
            moments.append(time.perf_counter())
        if message.kind == "progress" and message.data.get("node") == TRAIN:
            moments.append(time.perf_counter())
            print(f"Steps: {int(message.data['value'])}/{work.steps} [", flush=True)

    train_in_host(work, work.steps, host, host / "comfyui.log", show)
    # From the graph's start: users have their ComfyUI running already.
    print(f"First step after {moments[1] - moments[0]:.3f} seconds")
    # The largest process that this one has waited for: the host, which is one process.
    print(f"Peak resident memory: {peak_of_children()} bytes")


def work_of(materials: Materials, task: Task) -> Work:
    """The node has no priors: it takes twice the photos in a step, so that the denoiser's batch is the same."""
    return Work(
        base=materials.checkpoint,
        diffusers_base=materials.diffusers_base,
        photos=materials.photos,
        class_images=None,
        identifier=IDENTIFIER,
        class_noun=CLASS_NOUN,
        instance_prompt=materials.prompt(),
        class_prompt=f"a {CLASS_NOUN}",
        method=task.method,
        steps=task.steps,
        looks=(task.steps,),
        learning_rate=LEARNING_RATES[task.method],
        rank=task.rank,
        prior_weight=0.0,
        prior_guidance=1.0,
        size=materials.resolution,
        seed=0,
        precision=materials.precision,  # type: ignore[arg-type]
        batch_size=2 * task.batch_size,
    )
