"""A VAE without the norm groups that are empty in all of its layers: the same answers from narrower layers.

The embedded base has the VAE of Stable Diffusion 1.5 in shape, so that every host loads it, with 6 of 32 groups in use;
without the others an image is decoded with a thirtieth of the products.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

NORMS = ("norm1", "norm2", "group_norm", "conv_norm_out")
"""The last part but one of a norm's tensor names."""


def without_empty_groups(
    tensors: Mapping[str, Tensor], widths: list[int], groups: int
) -> tuple[dict[str, Tensor], int]:
    """The weights of a VAE (by diffusers' names) without the channels of empty groups, and the groups that are left.

    widths: channels of each level. groups: of each of its norms. Where a channel behind the last group in use takes
    part in any layer, and where there are shapes alone (torch's meta device), the weights are returned as they are.
    """
    used = groups if any(tensor.is_meta for tensor in tensors.values()) else _used_groups(tensors, groups)
    if used == groups:
        return dict(tensors), groups
    cut = {name: _corner(tensor, widths, used, groups) for name, tensor in tensors.items()}
    if any(_nonzero(cut[name]) != _nonzero(tensor) for name, tensor in tensors.items()):
        return dict(tensors), groups
    # Attention divides by the square root of its width, which is now smaller.
    factor = (used / groups) ** 0.5
    return {name: tensor.float() * factor if ".to_q." in name else tensor.clone() for name, tensor in cut.items()}, used


def _used_groups(tensors: Mapping[str, Tensor], groups: int) -> int:
    """The number of groups up to the last one that any norm scales or shifts, at least 1; all for a norm that has no
    such groups, which is refused where the module is filled.
    """
    used = 1
    for name, tensor in tensors.items():
        if name.split(".")[-2] in NORMS and used < groups:
            if tensor.numel() % groups:
                return groups
            filled = tensor.reshape(groups, -1).any(dim=1).nonzero()
            used = max(used, int(filled.max()) + 1 if len(filled) else 0)
    return used


def _nonzero(tensor: Tensor) -> int:
    """The number of values that are not zero. 8-bit floats cannot be counted as they are."""
    return int(tensor.float().count_nonzero())


def _corner(tensor: Tensor, widths: list[int], used: int, groups: int) -> Tensor:
    """The first channels of each dimension that counts channels of a level."""
    lengths = (length * used // groups if length in widths else length for length in tensor.shape)
    return tensor[tuple(slice(0, length) for length in lengths)]
