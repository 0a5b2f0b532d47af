"""Preparation of a base's weights for training, after its method is attached: their dtypes and device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ..model.base import Base
from ..model.precision import cast_frozen, cast_trained, require_bf16_forward
from ..options import TrainOptions
from ..options.setting import OptionError
from .eight_bit import quantise


def prepare_weights(base: Base, options: TrainOptions, dtype: torch.dtype | None, trained: Iterable[nn.Module]) -> None:
    """Cast the denoiser's frozen layers to the forward's dtype or to 8 bits and trained layers to their own dtype, and
    move the trained components to the device.

    trained: these components. dtype: of the forward, None for float32. Raises OptionError for options that this dtype
    does not allow.
    """
    if options.fused_backward and dtype == torch.float16:
        raise OptionError(
            "fused_backward is True, and the forward is in float16 here, which has to see all gradients before it uses "
            "one: set fused_backward to False, or precision to 'fp32'."
        )
    if options.trained_weights == "bf16":
        require_bf16_forward(dtype)
        for module in (base.denoiser, *base.text_encoders.values()):
            cast_trained(module, torch.bfloat16)
    if options.base_in_8_bits:
        quantise(base.denoiser, dtype or torch.float32, base.device)
    if dtype is not None:
        cast_frozen(base.denoiser, dtype)
    for module in trained:
        module.to(base.device)
