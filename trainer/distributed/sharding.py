"""Sharded models (FSDP, Zhao et al., 2023): which blocks are sharded by themselves, and full tensors of shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ..options import OptionError, TrainOptions

SMALLEST_BLOCK = 1 << 18
"""The number of weights from which a block is sharded by itself; a smaller one is sharded with the block around it."""
FULL_TENSOR = "full_tensor"
"""The method that only a sharded tensor (DTensor) has. Its class is slow to import, and older torch has it
elsewhere.
"""


def require_shardable(options: TrainOptions) -> None:
    """Raises OptionError for options that sharded training does not support."""
    import torch.distributed.fsdp as fsdp

    if not hasattr(fsdp, "fully_shard"):
        raise OptionError(f"FSDP takes torch 2.6 or newer, and this is {torch.__version__}; start without --use_fsdp.")
    refused = {
        "method is 'textual_inversion', whose few vectors need no sharding; start without --use_fsdp": (
            options.method == "textual_inversion"
        ),
        f"optimizer is {options.optimizer!r}; FSDP takes adamw, whose moments it spreads": options.optimizer != "adamw",
        "base_in_8_bits is True; FSDP spreads weights that are floating-point numbers": options.base_in_8_bits,
        "trained_weights is 'bf16', which takes adafactor; FSDP takes fp32": options.trained_weights != "fp32",
        "precision is 'fp16', whose scaling FSDP does not do; use bf16 or fp32": options.precision == "fp16",
    }
    for text, is_so in refused.items():
        if is_so:
            raise OptionError(f"{text}.")


def gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The tensors gathered from all processes, on the CPU where they were sharded; empty where `keep` is False.

    All processes call it together, with the same names in the same order.
    """
    full = ((name, full_tensor(tensor.detach())) for name, tensor in tensors.items())
    return {name: tensor.cpu() for name, tensor in full if keep}


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, gathered in all processes; any other tensor unchanged."""
    full: Tensor = getattr(tensor, FULL_TENSOR, lambda: tensor)()
    return full


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a full tensor, where `like` is sharded; else the tensor unchanged."""
    if not hasattr(like, FULL_TENSOR):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def fsdp_units(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that are FSDP units of their own: elements of ModuleLists with at least SMALLEST_BLOCK weights."""
    for child in module.modules():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if sum(p.numel() for p in block.parameters()) >= SMALLEST_BLOCK)
