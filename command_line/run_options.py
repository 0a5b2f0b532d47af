"""The options of a run and how its base is loaded, read from the flags of `train`."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..trainer.distributed.ranks import Ranks
from ..trainer.distributed.sharding import require_shardable
from ..trainer.files.kept_hashes import KeptHashes
from ..trainer.methods.registry import METHODS
from ..trainer.methods.start import kept_settings
from ..trainer.model.precision import forward_dtype, frozen_text_dtype
from ..trainer.options import TrainOptions
from ..trainer.options.setting import OptionError
from .base_model import BaseModel
from .option_flags import chosen_options


def run_options(arguments: argparse.Namespace, ranks: Ranks) -> TrainOptions:
    """The options of a run; --batch-size is of each process, and the run's that of all together. Raises OptionError."""
    options = chosen_options(arguments, kept_settings(arguments.continue_from))
    if ranks.sharded:
        require_shardable(options)
    if ranks.several and options.fused_backward:
        raise OptionError("fused_backward uses a gradient before processes have averaged it; one process can do it.")
    return replace(options, batch_size=options.batch_size * ranks.count)


def base_model(arguments: argparse.Namespace, options: TrainOptions, hashes: KeptHashes | None) -> BaseModel:
    """--base, to be loaded as these options train it best."""
    base = BaseModel(arguments, hashes)
    forward = forward_dtype(options.precision, base.device)
    base.dtype = METHODS[options.method].load_dtype(options, forward)
    base.text_dtype = frozen_text_dtype(options, base.device.type, forward)
    return base
