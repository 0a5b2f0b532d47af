"""What `accelerate launch`, torchrun or mpirun say to the process that they start."""

from __future__ import annotations

import os
from collections.abc import Sequence

COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
LOCAL_RANKS = ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK")
_TRUE = ("true", "1", "yes", "on")


def launched_count() -> int:
    """How many processes were started together; 1 without a launcher."""
    return max(1, _number(COUNTS, 1))


def launched_on_cpu() -> bool:
    """Whether `accelerate launch --cpu` was said."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in _TRUE


def launched_sharded() -> bool:
    """Whether `accelerate launch --use_fsdp` was said."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in _TRUE


def launched_deepspeed() -> bool:
    """Whether `accelerate launch --use_deepspeed` was said."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() in _TRUE


def launched_precision() -> dict[str, str]:
    """{"precision"} of `accelerate launch --mixed_precision`; empty for its default, no."""
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    return {"precision": precision} if precision in ("bf16", "fp16") else {}


def launched_local_rank() -> int:
    """The number of this process among those of its machine; 0 without a launcher."""
    return _number(LOCAL_RANKS, 0)


def _number(names: Sequence[str], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name)), default)
