"""`train` in several processes: what each of them makes of the command, and all but the first do."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache

from ..trainer.distributed.processes import Processes
from ..trainer.distributed.sharding import require_shardable
from ..trainer.methods.lora.start import kept_settings
from ..trainer.model.precision import layers_dtype
from ..trainer.options import OptionError, TrainOptions
from ..trainer.session.follower import Follower
from .base_model import BaseModel
from .option_flags import chosen_options


def run_options(arguments: argparse.Namespace, processes: Processes) -> TrainOptions:
    """The options of a run; --batch-size is of each process, and the run's that of all together. Raises OptionError."""
    options = chosen_options(arguments, kept_settings(arguments.continue_from))
    if processes.sharded:
        require_shardable(options)
    if processes.several and options.fused_backward:
        raise OptionError("fused_backward uses a gradient before processes have averaged it; one process can do it.")
    return replace(options, batch_size=options.batch_size * processes.count)


def base_model(arguments: argparse.Namespace, options: TrainOptions) -> BaseModel:
    """--base, to be loaded as these options train it best."""
    base = BaseModel(arguments)
    base.dtype = layers_dtype(options, base.device)
    return base


def follow(arguments: argparse.Namespace, processes: Processes) -> None:
    """`train` beside the first process. What is wrong with the command the first one says."""

    @cache
    def options() -> TrainOptions:
        return run_options(arguments, processes)

    Follower(processes, lambda: base_model(arguments, options()).live, options, arguments.continue_from).serve()
