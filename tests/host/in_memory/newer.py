"""Kinds of models of this year, tiny and random, in a ComfyUI that knows them: Anima, FLUX.2, Krea 2 and Z-Image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.ldm.anima.model  # type: ignore[import-not-found, unused-ignore]
import comfy.ldm.flux.model
import comfy.ldm.krea2.model  # type: ignore[import-not-found, unused-ignore]
from torch import Tensor

from dreambooth_nodes.tests.host.in_memory.families import found_by_the_loader, overfitted
from dreambooth_nodes.tests.host.in_memory.forwards import forwards, gradients
from dreambooth_nodes.tests.host.in_memory.models import loaded, weights_of, with_words, z_image
from dreambooth_nodes.tests.host.in_memory.newer_diffusers import beside_diffusers
from dreambooth_nodes.tests.host.in_memory.runs import same_samples
from dreambooth_nodes.tests.host.in_memory.state import left_as_it_was, with_lora
from dreambooth_nodes.tests.host.tiny_sizes import ANIMA, KREA_2, WORDS

FLUX2_LATENTS, LATENTS = (128, 4, 4), (16, 8, 8)
"""Channels, height and width."""


def flux2() -> Any:
    """A FLUX.2, whose sizes the host reads from its weights."""
    return loaded(flux2_weights())


def krea2() -> Any:
    """A tiny Krea 2."""
    return loaded(krea2_weights())


def anima() -> Any:
    """A tiny Anima."""
    return loaded(weights_of(comfy.ldm.anima.model.Anima, ANIMA))


def flux2_weights() -> dict[str, Tensor]:
    """Of one double and one single block with one head."""
    sizes = {"in_channels": 128, "out_channels": 128, "vec_in_dim": None, "context_in_dim": WORDS, "hidden_size": 128,
             "mlp_ratio": 3.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [32, 32, 32, 32],
             "theta": 2000, "patch_size": 1, "qkv_bias": False, "guidance_embed": False, "global_modulation": True,
             "mlp_silu_act": True, "ops_bias": False, "txt_ids_dims": [3]}  # fmt: skip
    return weights_of(comfy.ldm.flux.model.Flux, sizes)


def krea2_weights() -> dict[str, Tensor]:
    """Of one block."""
    return weights_of(comfy.ldm.krea2.model.SingleStreamDiT, KREA_2)


def figures() -> dict[str, dict[str, Any]]:
    """{kind: its figures}."""
    found = {}
    for name, (make, size) in KINDS.items():
        model = make()
        parts = with_words(model)
        found[name] = {
            "class": type(model.model).__name__,
            "forwards": forwards(parts, size),
            "gradients": gradients(parts, size),
            "lora": found_by_the_loader(parts),
            "overfitted": overfitted(parts, size),
            "diffusers": beside_diffusers(name, parts, size),
            "left": left_as_it_was((with_lora(parts[0]), *parts[1:])),
            "runs": same_samples(parts),
        }
    return found


KINDS: dict[str, tuple[Callable[[], Any], tuple[int, int, int]]] = {
    "flux2": (flux2, FLUX2_LATENTS),
    "krea2": (krea2, LATENTS),
    "z_image": (z_image, LATENTS),
    "anima": (anima, LATENTS),
}
"""{kind: what makes it, and the size of its latents}."""
