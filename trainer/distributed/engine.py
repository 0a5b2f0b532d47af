"""accelerate's engine: DDP for a model that each process holds, FSDP 2 for one that is sharded over all."""

from __future__ import annotations

from datetime import timedelta

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import nn

from .sharding import fsdp_units, fsdp_units_by_dtype


def make_accelerator(device: torch.device, patience: timedelta, sharded: bool) -> Accelerator:
    """The accelerator of this process, which has met the others. patience: the timeout of their operations.

    The forward's precision is this package's own (see `model.precision`), so accelerate casts nothing.
    """
    plugin = None
    if sharded:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
        )
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="no",
        fsdp_plugin=plugin,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=patience)],
    )
    if sharded:
        # accelerate takes a plugin on GPUs only; its FSDP 2 itself runs on CPUs as well.
        accelerator.state.fsdp_plugin = plugin
        accelerator.state.distributed_type = DistributedType.FSDP
    return accelerator


def prepare(accelerator: Accelerator, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """The module in DDP, or sharded in place with its optimizer's parameters.

    Frozen weights are not compared by DDP: all ranks read them from equal files (see `session.personalize`).
    """
    if accelerator.distributed_type == DistributedType.FSDP:
        for weight in module.parameters():
            # Convolutions are loaded channels last, which FSDP refuses to split.
            weight.data = weight.data.contiguous()
        # The components too, so that each can be called by itself, as sampling does.
        units = (*fsdp_units(module), *module.children(), *fsdp_units_by_dtype(module))
        names = {type(unit).__name__ for unit in units}
        accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(names)
        return accelerator.prepare(module, optimizer)[0]
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    names = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    module._ddp_params_and_buffers_to_ignore = names - trained  # type: ignore[assignment]
    # A text encoder's last layers may not be used.
    unused = len([*module.children()]) > 1
    accelerator.ddp_handler = DistributedDataParallelKwargs(gradient_as_bucket_view=True, find_unused_parameters=unused)
    return accelerator.prepare(module)
