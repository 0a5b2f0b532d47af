"""By what a pretrained model is known again, whoever cast it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

VAE = "vae"


def fingerprint(components: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 (hex) over names, shapes and values: a model has the same one in fp32, fp16, or with its VAE in bf16.

    Values are taken in fp16; of a bf16 file that is exact, a bf16 cast of another is another model. Only hosts cast
    the VAE to bf16 on their own (ComfyUI on many GPUs), and no rounding makes fp32, fp16 and bf16 of one value alike:
    so of the VAE the signs are taken, which no cast changes. Another VAE has others; one that differs by the size of
    a few weights alone has not. A base without numbers has that of its names and shapes.
    """
    digest = hashlib.sha256()
    for component in sorted(components):
        for key, tensor in sorted(components[component].items()):
            digest.update(f"{component}.{key}{tuple(tensor.shape)}".encode())
            if tensor.is_meta:
                continue
            known = torch.signbit(tensor) if component == VAE else tensor.half()
            digest.update(known.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
