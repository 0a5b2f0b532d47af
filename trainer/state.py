"""The state of a run in progress, on disk: what a run goes on from after a crash or a stop, bit for bit.

Noise, timesteps and the order of photos are functions of the seed and the step (`randomness`), so the state holds
the trained weights, the optimizer's moments, the schedule, fp16's scaler and the losses, and nothing else.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from .checkpoint import CheckpointError, read_metadata, read_tensors, write_tensors
from .events import Step
from .training import Training

FORMAT = "1"
MARK, KEY, PROGRESS = "dreambooth.state", "dreambooth.key", "dreambooth.progress"
ROOM = 1.1


class StateError(CheckpointError):
    """A state that a run cannot go on from; the message names the file and why."""


def write_state(path: Path, key: str, training: Training, points: Sequence[Step]) -> None:
    """Write the state after `points`, whole or not at all. Raises OSError where there is no room."""
    tensors = {**_weights(training), **_moments(training), "losses": _table(points)}
    needed = sum(tensor.nbytes for tensor in tensors.values()) * ROOM
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(f"it takes {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free on the disk")
    write_tensors(tensors, path, {MARK: FORMAT, KEY: key, PROGRESS: json.dumps(_progress(training))})


def restore(path: Path, key: str, training: Training) -> list[Step]:
    """Put a training where a state left it; the steps done until then. Raises StateError."""
    said = _header(path, key)
    try:
        tensors = read_tensors(path)
        weights = {f"weights.{name}": p for name, p in _named(training).items()}
        odd = sorted(weights.keys() ^ {name for name in tensors if name.startswith("weights.")})
        if odd:
            raise StateError(f"{path} is of other layers than this run: {', '.join(odd[:3])} …; delete it.")
        with torch.no_grad():
            for name, parameter in weights.items():
                parameter.copy_(tensors[name].view(parameter.shape))
        _restore_progress(training, tensors, json.loads(said[PROGRESS]))
        return [_point(row) for row in tensors["losses"].tolist()]
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(f"{path} does not hold the state that its header says ({error}); delete it.") from error


def _header(path: Path, key: str) -> dict[str, str]:
    try:
        said = read_metadata(path)
    except CheckpointError as error:
        raise StateError(f"The state {path} is torn; delete it to train anew. {error}") from error
    if MARK not in said:
        raise StateError(f"{path} is no state of a run of ours; move it away to train anew.")
    if said[MARK] != FORMAT:
        raise StateError(f"{path} was written by another version (format {said[MARK]}); delete it to train anew.")
    if said.get(KEY) != key:
        raise StateError(f"{path} is the state of another run; move it away to train anew.")
    return said


def _named(training: Training) -> dict[str, torch.nn.Parameter]:
    """{component.name: parameter} of all that is trained, in the optimizer's order."""
    names = {
        id(parameter): f"{component}.{name}"
        for component, module in training.base.components().items()
        for name, parameter in module.named_parameters()
    }
    return {names[id(parameter)]: parameter for parameter in training.parameters}


def _weights(training: Training) -> dict[str, Tensor]:
    return {f"weights.{name}": parameter.detach() for name, parameter in _named(training).items()}


def _moments(training: Training) -> dict[str, Tensor]:
    state = training.optimizer.state_dict()["state"]
    return {
        f"optimizer.{name}.{moment}": tensor
        for index, name in enumerate(_named(training))
        for moment, tensor in state.get(index, {}).items()
    }


def _progress(training: Training) -> dict[str, Any]:
    schedule = {name: value for name, value in training.schedule.state_dict().items() if name != "lr_lambdas"}
    rates = [group["lr"] for group in training.optimizer.param_groups]
    return {"schedule": schedule, "rates": rates, "scaler": training.scaler.state_dict()}


def _restore_progress(training: Training, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    named = _named(training)
    places = {name: index for index, name in enumerate(named)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            name, _, moment = key.removeprefix("optimizer.").rpartition(".")
            state.setdefault(places[name], {})[moment] = _laid_out_as(named[name], tensor)
    groups = training.optimizer.state_dict()["param_groups"]
    groups = [{**group, "lr": rate} for group, rate in zip(groups, progress["rates"], strict=True)]
    training.optimizer.load_state_dict({"state": state, "param_groups": groups})
    training.schedule.load_state_dict({**progress["schedule"], "lr_lambdas": [None] * len(groups)})
    if training.scaler.is_enabled():
        training.scaler.load_state_dict(progress["scaler"])


def _laid_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Fused optimizers walk through memory: a moment lies there as its weights do, channels last where they do."""
    return tensor if tensor.shape != parameter.shape else torch.empty_like(parameter).copy_(tensor)


def _table(points: Sequence[Step]) -> Tensor:
    """[steps, fields of `Step`], float64; a prior loss that is None is NaN."""
    rows = [[math.nan if value is None else value for value in astuple(point)] for point in points]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), -1)


def _point(row: Sequence[float]) -> Step:
    step, steps, instance, prior, *others = row
    return Step(int(step), int(steps), instance, None if math.isnan(prior) else prior, *others)
