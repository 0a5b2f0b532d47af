"""A process other than the first in a distributed training: it follows the first one's orders, and writes no files and
reports no events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from ..distributed.processes import FailedElsewhere, Processes, ProcessLost
from ..distributed.sharding import whole_component
from ..model.base import Base
from ..options import TrainOptions
from ..sampling.class_priors import PriorRecipe
from ..training.snapshot import Snapshot, in_the_first, put_back
from ..training.step import Training
from .drawing import draw_pictures, draw_share
from .setup import build_training, method_of


@dataclass
class Follower:
    """A process that follows the first one's orders.

    load: loads the model, once, when it is first needed. options: returns a run's options, with the batch size of all
    processes together. continue_from: the LoRA file that the run continues.
    """

    processes: Processes
    load: Callable[[], Base]
    options: Callable[[], TrainOptions] = TrainOptions
    continue_from: Path | None = None
    training: Training | None = field(default=None, init=False)

    @cached_property
    def base(self) -> Base:
        """The model, on this process's device."""
        return self.load()

    def serve(self) -> None:
        """Follow orders until the last one. Raises ProcessLost when the first process has ended.

        A failure of this process that the other ranks know of is raised only after the last order: a launcher ends all
        processes when one fails, and the first may still have something to save.
        """
        failure: Exception | None = None
        while (order := self.processes.received())["order"] != "end":
            failure = None
            try:
                self._follow(order)
            except ProcessLost:
                raise
            except FailedElsewhere:
                continue
            except Exception as error:
                if error is not self.processes.failure:
                    raise
                failure = error
        if failure is not None:
            raise failure

    def _follow(self, order: Mapping[str, Any]) -> None:
        """Carry out one order."""
        match order["order"]:
            case "load":
                _ = self.base
            case "draw":
                recipe = PriorRecipe(**order["recipe"])
                draw_share(self.base, recipe, order["precision"], order["seeds"], self.processes)
            case "train":
                self.training = self._begun(order["base"], order["levers"])
            case "step":
                self._running.step(order["index"])
            case "fit":
                # A step that ran out of memory may have left gradients.
                self._running.optimizer.zero_grad(set_to_none=True)
                fitted = {name: value for name, value in order.items() if name != "order"}
                self._running.fit(replace(self._running.options, **fitted))
            case "restore":
                put_back(Snapshot(self.processes.share(None), order["progress"]), self._running)
            case _:
                self._follow_sharded(order)

    def _begun(self, fingerprint: str, levers: Mapping[str, Any]) -> Training:
        """The training that the first process began. fingerprint: of its base. levers: of its memory plan."""
        options = replace(self.options(), **levers)
        self.processes.attempt(lambda: self._attach(fingerprint, options))
        return build_training(self.base, options, None, self.processes)

    def _attach(self, fingerprint: str, options: TrainOptions) -> None:
        """Attach the method to the base. Raises ValueError where the base is not the first process's."""
        if self.base.fingerprint != fingerprint:
            raise ValueError("The base is another one than the first process's; every machine needs the same file.")
        method_of(options, self.continue_from, self.base, self.processes).attach(self.base, options)

    def _follow_sharded(self, order: Mapping[str, Any]) -> None:
        """Carry out one order of a sharded training."""
        match order["order"]:
            case "forward":
                self._running.losses_of(self._running.batches[0])
            case "gather":
                in_the_first(self._running)
            case "component":
                whole_component(self.processes, order["component"], self._weights(order["component"]))
            case "sample":
                draw_pictures(self.base, *order["asked"])

    def _weights(self, component: str) -> dict[str, Tensor]:
        """{name: tensor} of a component, sharded or not."""
        return self.base.components()[component].state_dict()

    @property
    def _running(self) -> Training:
        """The training in progress. Raises FailedElsewhere where none has begun."""
        if self.training is None:
            raise FailedElsewhere("the first process trains, and has not said what")
        return self.training
