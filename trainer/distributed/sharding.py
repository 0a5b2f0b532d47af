"""Sharded models (FSDP, Zhao et al., 2023): which blocks are sharded by themselves, and full tensors of shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..options import TrainOptions
from ..options.setting import OptionError

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
        f"method is {options.method!r}; FSDP takes 'full' and 'lora'": options.method in ("dora", "lokr", "lidb"),
        "base_in_8_bits is True; FSDP spreads weights that are floating-point numbers": options.base_in_8_bits,
        f"prior is {options.prior!r}, which needs the base's weights whole; FSDP takes class images": (
            options.prior_in_use not in ("class images", "off")
        ),
        f"optimizer is {options.optimizer!r}, which keeps its states whole; FSDP takes 'adamw' and 'adafactor'": (
            not options.optimizer_kind.shardable
        ),
        f"ema_decay is {options.ema_decay:g}; FSDP keeps no average, so set it to 0": bool(options.ema_decay),
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


def own_rows(tensor: Tensor) -> Tensor:
    """The rows of a sharded tensor that this process holds, in its memory; any other tensor unchanged."""
    rows: Tensor = getattr(tensor, "to_local", lambda: tensor)()
    return rows


def own_part(full: Tensor, like: Tensor) -> Tensor:
    """Those rows of a full tensor that this process holds of `like`: all where `like` is not sharded."""
    mesh = _mesh(like)
    if mesh is None:
        return full
    parts, rank = full.chunk(mesh.size()), mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else full[:0]


def sharded_rows(rows: Tensor, like: Tensor) -> Tensor:
    """A sharded tensor of the rows that each process has computed for its rows of `like`; the rows themselves where
    `like` is not sharded.
    """
    mesh = _mesh(like)
    if mesh is None:
        return rows
    from torch.distributed.tensor import DTensor, Shard

    shape = torch.Size((like.shape[0], *rows.shape[1:]))
    return DTensor.from_local(rows, mesh, [Shard(0)], shape=shape, stride=torch.empty(shape, device="meta").stride())


def mean_of_rows(rows: Tensor, like: Tensor, dim: int | None = None) -> Tensor:
    """The mean over the rows of all processes, computed for their rows of `like`. dim: 0, which is kept with size 1, or
    None: over all values.
    """
    mesh = _mesh(like)
    if mesh is None:
        return rows.mean() if dim is None else rows.mean(dim=dim, keepdim=True)
    total = rows.sum() if dim is None else rows.sum(dim=dim, keepdim=True)
    dist.all_reduce(total, group=mesh.get_group())
    return total / (like.shape[0] * (prod(rows.shape[1:]) if dim is None else 1))


def fsdp_units_by_dtype(module: nn.Module) -> Iterator[nn.Module]:
    """The layers that are units of their own where trained weights are in bf16: those that stay in float32 (norms and
    embeddings). FSDP takes trained weights of one dtype in a unit.
    """
    if {weight.dtype for weight in module.parameters() if weight.requires_grad} == {torch.float32}:
        return
    for layer in module.modules():
        if any(p.requires_grad and p.dtype == torch.float32 for p in layer.parameters(recurse=False)):
            yield layer


def _mesh(tensor: Tensor) -> Any:
    """The device mesh of a sharded tensor; None for any other."""
    return getattr(tensor, "device_mesh", None)


def fsdp_units(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that are FSDP units of their own: elements of ModuleLists with at least SMALLEST_BLOCK weights."""
    for child in module.modules():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if sum(p.numel() for p in block.parameters()) >= SMALLEST_BLOCK)
