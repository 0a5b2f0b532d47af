"""Fully sharded data parallel training (FSDP): weights, gradients and optimizer moments are sharded over all processes.

Zhao et al., 2023, by torch's `fully_shard`: a block's weights are gathered only while it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..options import OptionError, TrainOptions
from .processes import Processes

SMALLEST_BLOCK = 1 << 18
"""The number of weights from which a block is sharded by itself; a smaller one is sharded with the block around it."""
WHOLE = "full_tensor"
"""The method that only a sharded tensor (DTensor) has. Its class is slow to import, and older torch has it
elsewhere.
"""


def require_shardable(options: TrainOptions) -> None:
    """Raises OptionError for options that sharded training does not support."""
    if options.method != "full":
        raise OptionError("FSDP spreads a model that is trained whole; start a LoRA without --use_fsdp.")
    if options.optimizer != "adamw":
        raise OptionError(f"optimizer is {options.optimizer!r}; FSDP takes adamw, whose moments it spreads.")
    if options.trained_weights != "fp32":
        raise OptionError(f"trained_weights is {options.trained_weights!r}; FSDP takes fp32.")
    if _fully_shard() is None:
        raise OptionError(f"FSDP takes torch 2.6 or newer, and this is {torch.__version__}; start without --use_fsdp.")


def shard(module: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Shard a module over all processes, block by block. dtype: of the forward. Raises OptionError for float16."""
    if dtype == torch.float16:
        raise OptionError("precision is fp16, whose scaling FSDP does not do; use bf16 or fp32.")
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    fully_shard = _fully_shard()
    assert fully_shard is not None
    for weight in module.parameters():
        # Convolutions are loaded channels last, which `fully_shard` refuses to split.
        weight.data = weight.data.contiguous()
    for block in (*_blocks(module), module):
        fully_shard(block, mesh=mesh)


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The tensors gathered from all processes, on the CPU where they were sharded; empty where `keep` is False.

    All processes call it together, with the same names in the same order.
    """
    whole = ((name, in_one_piece(tensor.detach())) for name, tensor in tensors.items())
    return {name: tensor.cpu() for name, tensor in whole if keep}


def in_one_piece(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, gathered in all processes; any other tensor unchanged."""
    whole: Tensor = getattr(tensor, WHOLE, lambda: tensor)()
    return whole


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a full tensor, where `like` is sharded; else the tensor unchanged."""
    if not hasattr(like, WHOLE):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def whole_component(processes: Processes, component: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A trained component's full weights, gathered in the first process; empty in the others."""
    processes.order("component", component=component)
    return gathered(tensors, processes.first)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The blocks that are sharded by themselves: large enough elements of module lists, inner ones first."""
    for child in module.children():
        yield from _blocks(child)
    if isinstance(module, nn.ModuleList):
        yield from (block for block in module if sum(p.numel() for p in block.parameters()) >= SMALLEST_BLOCK)


def _fully_shard() -> Any:
    """torch's `fully_shard`, or None in a version of torch that lacks it."""
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:
        return None
    return fully_shard
