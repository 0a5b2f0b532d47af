"""A run in progress as tensors and numbers, and back, bit for bit.

Noise, timesteps and the order of photos are functions of the seed and the step (`randomness`), so it is the trained
weights, the optimizer's moments, the schedule, fp16's scaler and the losses, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor

from ..distributed.sharding import gathered, spread_like
from ..events import Step
from .step import Training


class OtherLayers(ValueError):
    """A snapshot of another training; the message names what does not fit."""


@dataclass(frozen=True)
class Snapshot:
    """tensors: by name, on the CPU and contiguous. progress: what of it is no tensor, ready for JSON."""

    tensors: Mapping[str, Tensor]
    progress: Mapping[str, Any]


def taken_of(training: Training, points: Sequence[Step]) -> Snapshot:
    """Of `training` after `points`."""
    tensors = {**in_the_first(training), "losses": _table(points)}
    return Snapshot({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, _progress(training))


def in_the_first(training: Training) -> dict[str, Tensor]:
    """Weights and moments; of a sharded training gathered in the first process."""
    tensors = {**_weights(training), **_moments(training)}
    if not training.processes.sharded:
        return tensors
    training.processes.order("gather")
    return gathered(tensors, training.processes.first)


def put_back(snapshot: Snapshot, training: Training) -> list[Step]:
    """Put a training where it was; the steps done until then.

    Raises OtherLayers; KeyError, ValueError, RuntimeError, TypeError or AttributeError for what was never taken.
    """
    weights = {f"weights.{name}": p for name, p in _named(training).items()}
    odd = sorted(weights.keys() ^ {name for name in snapshot.tensors if name.startswith("weights.")})
    if odd:
        raise OtherLayers(f"{', '.join(odd[:3])} …")
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(spread_like(snapshot.tensors[name].view(parameter.shape), parameter))
    _restore_progress(training, snapshot.tensors, snapshot.progress)
    return [_point(row) for row in snapshot.tensors["losses"].tolist()]


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
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(spread_like(tensor, parameter))


def _table(points: Sequence[Step]) -> Tensor:
    """[steps, fields of `Step`], float64; a prior loss that is None is NaN."""
    rows = [[math.nan if value is None else value for value in astuple(point)] for point in points]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), -1)


def _point(row: Sequence[float]) -> Step:
    step, steps, instance, prior, *others = row
    return Step(int(step), int(steps), instance, None if math.isnan(prior) else prior, *others)
