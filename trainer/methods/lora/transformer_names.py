"""Names of the layers of transformers in their makers' files, which ComfyUI has too, and in diffusers' classes.

A fused layer of q, k and v is three layers of diffusers'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Rules = Mapping[str, tuple[str, ...]]
"""{pattern of a whole name in the makers' files: diffusers' names, from the first rows of the weight on}."""

Z_IMAGE: Rules = {
    r"(.+\.attention)\.qkv": (r"\1.to_q", r"\1.to_k", r"\1.to_v"),
    r"(.+\.attention)\.out": (r"\1.to_out.0",),
    r"((?:layers|noise_refiner|context_refiner)\..+)": (r"\1",),
}
_BLOCK = r"transformer_blocks.\1"
_SINGLE = r"single_transformer_blocks.\1"
FLUX_2: Rules = {
    r"double_blocks\.(\d+)\.img_attn\.qkv": tuple(f"{_BLOCK}.attn.to_{one}" for one in "qkv"),
    r"double_blocks\.(\d+)\.txt_attn\.qkv": tuple(f"{_BLOCK}.attn.add_{one}_proj" for one in "qkv"),
    r"double_blocks\.(\d+)\.img_attn\.proj": (f"{_BLOCK}.attn.to_out.0",),
    r"double_blocks\.(\d+)\.txt_attn\.proj": (f"{_BLOCK}.attn.to_add_out",),
    r"double_blocks\.(\d+)\.img_mlp\.0": (f"{_BLOCK}.ff.linear_in",),
    r"double_blocks\.(\d+)\.img_mlp\.2": (f"{_BLOCK}.ff.linear_out",),
    r"double_blocks\.(\d+)\.txt_mlp\.0": (f"{_BLOCK}.ff_context.linear_in",),
    r"double_blocks\.(\d+)\.txt_mlp\.2": (f"{_BLOCK}.ff_context.linear_out",),
    r"single_blocks\.(\d+)\.linear1": (f"{_SINGLE}.attn.to_qkv_mlp_proj",),
    r"single_blocks\.(\d+)\.linear2": (f"{_SINGLE}.attn.to_out",),
}
_KREA_ATTENTION = {"wq": "to_q", "wk": "to_k", "wv": "to_v", "wo": "to_out.0", "gate": "to_gate"}
KREA_2: Rules = {
    **{rf"blocks\.(\d+)\.attn\.{own}": (f"{_BLOCK}.attn.{name}",) for own, name in _KREA_ATTENTION.items()},
    r"blocks\.(\d+)\.mlp\.(gate|up|down)": (rf"{_BLOCK}.ff.\2",),
    **{
        rf"txtfusion\.(layerwise_blocks|refiner_blocks)\.(\d+)\.attn\.{own}": (rf"text_fusion.\1.\2.attn.{name}",)
        for own, name in _KREA_ATTENTION.items()
    },
    r"txtfusion\.(layerwise_blocks|refiner_blocks)\.(\d+)\.mlp\.(gate|up|down)": (r"text_fusion.\1.\2.ff.\3",),
}
_COSMOS_ATTENTION = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "output_proj": "to_out.0"}
ANIMA: Rules = {
    **{
        rf"blocks\.(\d+)\.{kind}_attn\.{own}": (f"{_BLOCK}.attn{number}.{name}",)
        for number, kind in ((1, "self"), (2, "cross"))
        for own, name in _COSMOS_ATTENTION.items()
    },
    r"blocks\.(\d+)\.mlp\.layer1": (f"{_BLOCK}.ff.net.0.proj",),
    r"blocks\.(\d+)\.mlp\.layer2": (f"{_BLOCK}.ff.net.2",),
    **{
        rf"blocks\.(\d+)\.adaln_modulation_{kind}\.{place}": (rf"{_BLOCK}.norm{number}.linear_{place}",)
        for number, kind in ((1, "self_attn"), (2, "cross_attn"), (3, "mlp"))
        for place in (1, 2)
    },
}
QWEN_IMAGE: Rules = {r"(transformer_blocks\..+)": (r"\1",)}

RULES: Mapping[str, Rules] = {
    "lumina2": Z_IMAGE,
    "flux2": FLUX_2,
    "krea2": KREA_2,
    "anima": ANIMA,
    "qwen_image": QWEN_IMAGE,
}
"""{ComfyUI's name of an architecture: the rules}. Lumina 2 shares Z-Image's names, but its q is wider than its k."""
ADAPTER, CONDITIONER = "llm_adapter.", "text_conditioner."
"""Anima's part that reads texts, in its makers' file, and in diffusers, which loads it apart from the transformer."""
TRANSFORMER = "transformer."
"""What diffusers' keys of a denoiser start with."""


def diffusers_names(architecture: str, name: str) -> tuple[str, ...]:
    """diffusers' names of a layer, behind that of its component; several for a fused layer, () where it has none."""
    if architecture == "anima" and name.startswith(ADAPTER):
        return (CONDITIONER + name.removeprefix(ADAPTER),)
    for pattern, names in RULES.get(architecture, {}).items():
        if found := re.fullmatch(pattern, name):
            return tuple(TRANSFORMER + found.expand(one) for one in names)
    return ()
