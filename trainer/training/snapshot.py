"""Snapshots of a training in progress, which restore it bit for bit.

Noise, timesteps and the order of photos are functions of the seed and the step (`randomness`), so a snapshot consists
of the trained weights, the optimizer's moments, the learning-rate schedule, fp16's gradient scaler and the losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..distributed.sharding import gathered, shard_like
from ..events import Step
from .step import Training

NUMBER = int | float
"""What of an optimizer's state is kept beside tensors: Prodigy's estimate, counts of steps, switches."""


class OtherLayers(ValueError):
    """A snapshot of a training of other weights; the message names them."""


@dataclass(frozen=True)
class Snapshot:
    """A training's state. tensors: {name: tensor}, on the CPU and contiguous. progress: all that is no tensor, ready
    for JSON.
    """

    tensors: Mapping[str, Tensor]
    progress: Mapping[str, Any]


def take_snapshot(training: Training, points: Sequence[Step]) -> Snapshot:
    """A snapshot of `training`, with its losses `points`."""
    tensors = {**gather_on_first_rank(training), "losses": _table(points)}
    return Snapshot({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, _progress(training))


def gather_on_first_rank(training: Training) -> dict[str, Tensor]:
    """{name: tensor} of weights and moments; those of a sharded training are gathered in the first rank, and empty in
    the others. All ranks call it together.
    """
    tensors = {**_weights(training), **_averages(training), **_moments(training)}
    return gathered(tensors, training.ranks.first) if training.ranks.sharded else tensors


def restore_snapshot(snapshot: Snapshot, training: Training) -> list[Step]:
    """Restore a training from a snapshot; returns the steps done until then.

    Raises OtherLayers for a training of other weights; KeyError, ValueError, RuntimeError, TypeError or AttributeError
    for tensors that are no snapshot.
    """
    named = training.named_parameters
    weights = {f"weights.{name}": p for name, p in named.items()}
    odd = sorted(weights.keys() ^ {name for name in snapshot.tensors if name.startswith("weights.")})
    if odd:
        raise OtherLayers(f"{', '.join(odd[:3])} …")
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(shard_like(snapshot.tensors[name].view(parameter.shape), parameter))
        for name, average in _averages(training).items():
            average.copy_(snapshot.tensors[name])
    _restore_progress(training, snapshot.tensors, snapshot.progress)
    training.done = len(snapshot.tensors["losses"])
    return [_point(row) for row in snapshot.tensors["losses"].tolist()]


def _weights(training: Training) -> dict[str, Tensor]:
    """{name in a snapshot: trained weight}."""
    return {f"weights.{name}": parameter.detach() for name, parameter in training.named_parameters.items()}


def _moments(training: Training) -> dict[str, Tensor]:
    """{name in a snapshot: optimizer state}, of tensors."""
    return {key: value for key, value in _states(training) if isinstance(value, Tensor)}


def _states(training: Training) -> Iterator[tuple[str, Any]]:
    """(name in a snapshot, value) of every optimizer state of a weight, as the optimizer itself holds it: bitsandbytes'
    `state_dict` nests them.
    """
    for name, parameter in training.named_parameters.items():
        for moment, value in training.optimizer.state.get(parameter, {}).items():
            yield f"optimizer.{name}.{moment}", value


def _averages(training: Training) -> dict[str, Tensor]:
    """{name in a snapshot: moving average of a trained weight}; empty where none is kept."""
    tensors = [] if training.average is None else training.average.tensors
    return {f"average.{name}": tensor for name, tensor in zip(training.named_parameters, tensors, strict=False)}


def _progress(training: Training) -> dict[str, Any]:
    """The states of schedule, learning rates, optimizer and gradient scaler that are numbers, ready for JSON."""
    schedule = {name: value for name, value in training.schedule.state_dict().items() if name != "lr_lambdas"}
    groups = training.optimizer.param_groups
    return {
        "schedule": schedule,
        "rates": [group["lr"] for group in groups],
        "groups": [{name: value for name, value in group.items() if isinstance(value, NUMBER)} for group in groups],
        "counts": {key: value for key, value in _states(training) if isinstance(value, NUMBER)},
        "scaler": training.scaler.state_dict(),
    }


def _restore_progress(training: Training, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Restore the states of optimizer, schedule, learning rates and gradient scaler."""
    named = training.named_parameters
    places = {name: index for index, name in enumerate(named)}
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**progress.get("counts", {}), **tensors}.items():
        if key.startswith("optimizer."):
            name, _, moment = key.removeprefix("optimizer.").rpartition(".")
            laid_out = _laid_out_as(named[name], value) if isinstance(value, Tensor) else value
            state.setdefault(places[name], {})[moment] = laid_out
    groups = training.optimizer.state_dict()["param_groups"]
    # States of earlier versions have no numbers of groups.
    numbers = progress.get("groups", [{}] * len(groups))
    groups = [{**group, **own, "lr": rate} for group, own, rate in zip(groups, numbers, progress["rates"], strict=True)]
    training.optimizer.load_state_dict({"state": state, "param_groups": groups})
    training.schedule.load_state_dict({**progress["schedule"], "lr_lambdas": [None] * len(groups)})
    if training.scaler.is_enabled():
        training.scaler.load_state_dict(progress["scaler"])


def _laid_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A moment in the memory layout and sharding of its weight, which fused optimizers require (channels last where the
    weight is).
    """
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(shard_like(tensor, parameter))


def _table(points: Sequence[Step]) -> Tensor:
    """The losses as a table [steps, fields of `Step`], float64; a prior loss of None is NaN."""
    rows = [[math.nan if value is None else value for value in astuple(point)] for point in points]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(fields(Step)))


def _point(row: Sequence[float]) -> Step:
    """One row of that table as a `Step`."""
    step, steps, instance, prior, *others = row
    return Step(int(step), int(steps), instance, None if math.isnan(prior) else prior, *others)
