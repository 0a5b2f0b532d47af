"""ComfyUI's own TrainLoraNode, run in a ComfyUI of its own: a stock one, or the user's by COMFYUI_DIR."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ....demo.comfyui import ComfyUI
from ....demo.host_process import ComfyUIError
from ....demo.messages import Message
from ....trainer.files.safetensors import read_tensors
from ....trainer.model.base import Base
from ....trainer.model.families import load_base
from ....trainer.operating_system import link_or_copy
from ...measured_process import speed
from ..contender import Contender, Look, Trained, Work
from .merged import MergedDenoiser, differences, share, trained_weights
from .train_lora_graph import LORA_PREFIX, TRAIN, graph, require_possible

CHECKPOINT, PHOTOS = "base.safetensors", "photos"


class TrainLoraNodeFailed(RuntimeError):
    """ComfyUI or a node failed; the message holds the end of its log."""


class Steps:
    """A listener for `ComfyUI.run`: when each step of the training node was told."""

    def __init__(self) -> None:
        self.arrivals: dict[int, float] = {}

    def __call__(self, message: Message) -> None:
        """Keep the moment of one message."""
        if message.kind == "progress" and message.data.get("node") == TRAIN:
            self.arrivals.setdefault(int(message.data["value"]), time.perf_counter())


def train_lora_node() -> Contender:
    """The contender that runs TrainLoraNode; its work is without priors, and a LoRA."""
    return train_by_node


def train_by_node(work: Work, folder: Path, look: Look) -> Trained:
    """One training for each look, of that many steps, from the first one on, in a ComfyUI just started.

    The node gives out nothing before its last step, so the cost is the sum of `looks`. To go on from a saved LoRA
    (its existing_lora input) would be another training: it drops the changes of norms and biases and the
    optimizer's state, and draws the same noise again. The node's seed decides noise and timesteps, not the LoRA's
    first weights: no two trainings are the same. It trains every convolution, linear layer, norm and bias of the
    denoiser, with an alpha of 1 at any rank. Seconds are the last training's, by the moments at which its progress
    messages arrive here. Raises ValueError for work that the node cannot do, TrainLoraNodeFailed with the log's end.
    """
    require_possible(work)
    folder.mkdir(parents=True, exist_ok=True)
    merged = MergedDenoiser(load_base(work.base))
    log = folder / "comfyui.log"
    for steps in work.looks:
        with tempfile.TemporaryDirectory(dir=folder, prefix="comfyui-") as name:
            listener = Steps()
            file = train_in_host(work, steps, Path(name), log, listener)
            tensors, size = read_tensors(file), file.stat().st_size
        look(steps, merged.add(_differences(tensors, merged.base)))
    seconds = work.steps / speed(listener.arrivals, work.steps)
    return Trained(seconds, share(trained_weights(tensors), merged.base), size)


def train_in_host(work: Work, steps: int, host: Path, log: Path, listener: Callable[[Message], None]) -> Path:
    """Start a ComfyUI in the empty folder `host`, train, stop it; the LoRA's file. Raises TrainLoraNodeFailed."""
    shutil.copytree(work.photos, host / "input" / PHOTOS)
    checkpoint = host / "models" / "checkpoints" / CHECKPOINT
    checkpoint.parent.mkdir(parents=True)
    link_or_copy(work.base.resolve(), checkpoint)
    try:
        with ComfyUI(host, log) as comfyui:
            comfyui.run(graph(work, steps, CHECKPOINT, PHOTOS, comfyui.object_info()), listener)
            (file,) = comfyui.output_directory.glob(f"{LORA_PREFIX}*.safetensors")
            return file
    except ComfyUIError as error:
        end = log.read_text(encoding="utf-8", errors="replace")[-3000:] if log.is_file() else "no log"
        raise TrainLoraNodeFailed(f"{error}\n{log}:\n{end}") from error


def _differences(tensors: dict[str, Tensor], base: Base) -> dict[str, Tensor]:
    table = base.tables["denoiser"]
    return differences(tensors, lambda name: table.our_name(f"model.{name}"))
