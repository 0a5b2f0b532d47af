"""The processes that a launcher started together: they meet, and end together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from .launcher import launched_count, launched_deepspeed, launched_sharded

if TYPE_CHECKING:
    from ..trainer.distributed.ranks import Ranks


class EndedElsewhere(Exception):
    """The first process ended with an error, which it says itself."""


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
    from .device import chosen_device

    if launched_deepspeed():
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
