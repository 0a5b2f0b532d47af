"""What `accelerate launch`, torchrun or mpirun say to the process that they start."""

from __future__ import annotations

import os

PROCESSES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def require_one_process() -> None:
    """Raises ValueError in a process that is one of several."""
    for name in PROCESSES:
        if int(os.environ.get(name) or 1) > 1:
            raise ValueError(
                f"{os.environ[name]} processes were started ({name}); training takes one so far. "
                "Start it with accelerate launch --num_processes 1"
            )


def launched_on_cpu() -> bool:
    """Whether `accelerate launch --cpu` was said."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1", "yes", "on")


def launched_precision() -> dict[str, str]:
    """{"precision"} of `accelerate launch --mixed_precision`; empty for its default, no."""
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    return {"precision": precision} if precision in ("bf16", "fp16") else {}
