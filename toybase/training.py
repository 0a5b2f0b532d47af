"""What both training scripts share: a clock that drives the learning rate, averaged weights, safe files."""

from __future__ import annotations

import math
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..trainer.model.precision import autocast, fastest_dtype

WARM_UP_SECONDS = 60.0
"""At most; a tenth of the budget where that is shorter."""


def rank() -> int:
    """This worker's number under torchrun, else 0."""
    return int(os.environ.get("RANK", 0))


def workers() -> int:
    """How many workers torchrun started, else 1."""
    return int(os.environ.get("WORLD_SIZE", 1))


def share(module: nn.Module) -> nn.Module:
    """The module with gradients averaged over all workers."""
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)


def training_autocast(device: torch.device) -> AbstractContextManager[object]:
    """The forward of a training step: in bf16 where the device is fast in it, else in float32.

    Not in fp16, whose gradients would have to be scaled.
    """
    dtype = fastest_dtype(device)
    return autocast(None if dtype == torch.float16 else dtype, device)


class Clock:
    """A budget of minutes; all schedules follow the share of it that is spent at the last tick."""

    def __init__(self, minutes: float) -> None:
        self.seconds, self.start, self.spent = minutes * 60, time.monotonic(), 0.0

    def tick(self) -> None:
        """Read the time. All workers take the first one's, so that they stop at the same step."""
        self.spent = time.monotonic() - self.start
        if workers() > 1:
            spent = torch.tensor([self.spent])
            torch.distributed.broadcast(spent, 0)
            self.spent = float(spent)

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.spent >= self.seconds

    def learning_rate(self, peak: float) -> float:
        """Linear warm-up, then a cosine down to 2% of `peak`."""
        cosine = 0.51 + 0.49 * math.cos(math.pi * min(1.0, self.spent / self.seconds))
        warm_up = min(WARM_UP_SECONDS, self.seconds / 10)
        return peak * cosine * min(1.0, 0.02 + self.spent / warm_up)


class Average:
    """Exponential moving average of a module's weights, in float32.

    The decay follows steps / (steps + 6), at most `decay`: young averages forget faster. One of
    restarted weights is `grown`: it remembers them while the optimizer finds its feet again.
    """

    def __init__(self, module: nn.Module, decay: float = 0.9995, grown: bool = False) -> None:
        self.decay, self.steps = decay, 6000 if grown else 0
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's present weights."""
        self.steps += 1
        keep = min(self.decay, self.steps / (self.steps + 6))
        live = [value.detach() for value in module.state_dict().values()]
        torch._foreach_lerp_(list(self.weights.values()), live, 1 - keep)


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write float32 weights to a temporary name beside `path`, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    save_file({name: value.detach().float().contiguous().cpu() for name, value in weights.items()}, temporary)
    temporary.replace(path)


def resume(module: nn.Module, path: Path) -> bool:
    """Load `path` into the module if it exists; says whether it did."""
    if not path.exists():
        return False
    module.load_state_dict(load_file(path))
    return True
