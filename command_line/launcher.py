"""What `accelerate launch`, torchrun or mpirun say to the process that they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import torch

    from ..trainer.distributed.ranks import Ranks

COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
LOCAL_RANKS = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")
TRUE = ("true", "1", "yes", "on")


class EndedElsewhere(Exception):
    """The first process ended with an error, which it says itself."""


def launched_count() -> int:
    """How many processes were started together; 1 without a launcher."""
    return max(1, _number(COUNTS, 1))


@contextmanager
def together(device: str) -> Iterator[Ranks]:
    """All processes that were started together, once they have met; in the end they wait for each other.

    device: as named by the user, "" for the best there is. Raises ValueError where another process has failed or
    cannot be reached; a process other than the first ends silently with what the first one raised.
    """
    from ..trainer.distributed.ranks import SINGLE_PROCESS, FailedElsewhere, Ranks

    if launched_count() == 1:
        yield SINGLE_PROCESS
        return
    from .base_model import chosen_device

    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() in TRUE:
        raise ValueError("DeepSpeed is not supported: start with --use_fsdp, which spreads a model over GPUs as well.")
    ranks = Ranks.started(chosen_device(device), launched_sharded())
    try:
        yield ranks
    except BaseException as error:
        ranks.note(error)
        if error is ranks.from_first and not ranks.first:
            raise EndedElsewhere from error
        if isinstance(error, FailedElsewhere):
            raise ValueError(str(error)) from error
        raise
    finally:
        ranks.leave()


def end(status: int) -> NoReturn:
    """End this process; where others run beside it, at once.

    Libraries hold their connection even after it was closed (in default arguments, in caches), and a thread of it that
    lets go of a tensor while Python takes itself apart aborts the process, and its launcher says that the run failed.
    """
    if launched_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def own_device(device: torch.device) -> torch.device:
    """`cuda` without a number is this process's own GPU. Raises ValueError where the machine has too few."""
    import torch

    if device.type != "cuda" or launched_count() == 1:
        return device
    own = _number(LOCAL_RANKS, 0) if device.index is None else device.index
    if own >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f"process {own} of this machine has no GPU: there are {found}. Start {found} processes here.")
    device = torch.device("cuda", own)
    torch.cuda.set_device(device)
    return device


def launched_on_cpu() -> bool:
    """Whether `accelerate launch --cpu` was said."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in TRUE


def launched_sharded() -> bool:
    """Whether `accelerate launch --use_fsdp` was said."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in TRUE


def launched_precision() -> dict[str, str]:
    """{"precision"} of `accelerate launch --mixed_precision`; empty for its default, no."""
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    return {"precision": precision} if precision in ("bf16", "fp16") else {}


def _number(names: Sequence[str], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name)), default)
