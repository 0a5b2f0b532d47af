"""Full fine-tuning on a CPU frees and takes the same hundreds of megabytes in every step: glibc is told to keep them,
in large pages. It listens only when a process starts, so such a training starts itself once more.

Not for others: a LoRA gains little, a GPU's step nothing, and a base is read more slowly (figures: bench/README.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..trainer.memory.allocator import tuned
from .answer import say

GPUS = ("nvidia[0-9]*", "dxg", "kfd")
"""What /dev has where torch finds a GPU; torch itself takes seconds to ask."""


def restart_tuned(words: Sequence[str]) -> None:
    """Begin this process anew where `words` say such a training: the same process number, words and streams.

    What a configuration file says is not known yet, and does not count.
    """
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--method", nargs="?")
    flags.add_argument("--device", nargs="?", default="cuda" if _has_gpu() else "cpu")
    said, _ = flags.parse_known_args(words)
    beside = tuned(said.method, said.device)
    if list(words[:1]) == ["train"] and beside and sys.executable:
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **beside})
        except OSError as error:
            say(f"The training goes on without tuned memory, a little slower: it could not be started anew ({error}).")


def _has_gpu() -> bool:
    return any(any(Path("/dev").glob(pattern)) for pattern in GPUS)
