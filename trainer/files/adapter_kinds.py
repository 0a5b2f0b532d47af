"""What kind of file the names of its tensors show: a LoRA, another adapter, words; by whole parts of names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

DORA, LOKR, LIDB = "a DoRA", "a LoKr", "a LiDB of one tensor"
"""Kinds beside plain LoRAs that can be read."""
OTHER_KINDS = {
    DORA: r"\.dora_scale$|\.lora_magnitude_vector(?:\.|$)",
    "a LoHa": r"\.hada_(?:w[12]_[ab]|t[12])(?:\.|$)",
    LOKR: r"\.lokr_(?:w[12](?:_[ab])?|t2)(?:\.|$)",
    LIDB: r"^lidb$",
    "a LoCon with a Tucker core": r"\.lora_mid(?:\.|$)",
    "an OFT or BOFT": r"\.(?:oft_(?:blocks|diag|[rR])|boft_[RrsS])(?:\.|$)",
    "a GLoRA": r"\.[ab][12]\.weight$",
    "an IA3": r"\.ia3_l(?:\.|$)|\.on_input$",
    "a VeRA or RandLora": r"\.(?:vera|randlora)_(?:lambda|A|B)",
    "a file of whole differences": r"\.diff(?:_b)?$",
    "a LyCORIS of norms": r"\.[wb]_norm$",
    "a LoRA in cloneofsimo's layout": r"^(?:unet|text_encoder):\d+:(?:up|down)$",
    "a low-rank embedding": r"\.lora_embedding_[AB](?:\.|$)",
}
"""{kind of adapter that is no plain LoRA, with its article: a pattern that names of its tensors match}."""
PLAIN = "a LoRA"
"""The kind that can be read."""
LORA = re.compile(r"[._](?:lora_(?:down|up|A|B)|lora(?:_linear_layer)?\.(?:down|up))(?:\.|$)")
"""Marks the names of a plain LoRA's matrices, of any tool."""
WORD = "a learned word (Textual Inversion)"
"""The kind of a file of a new word's vectors."""
WORDS = frozenset({"emb_params", "clip_l", "clip_g", "clip_h", "string_to_param", "t5"})
"""The names of tensors in files of learned words; diffusers names a single tensor by its token, such as `<olt>`."""

OTHER_FILES = {
    "a ControlNet": r"^(?:control_model|controlnet\w*|input_hint_block|zero_convs)\.|\.controlnet_\w+\.",
    "an IP-Adapter": r"^(?:ip_adapter|image_proj)\.",
    "a T2I-Adapter": r"^(?:adapter\.)?body\.\d+\.(?:in_conv|resnets|block1)\.",
    "a whole model": r"^model\.diffusion_model\.",
    "a VAE": r"^(?:first_stage_model\.|vae\.)?(?:encoder|decoder)\.(?:conv_in|down|up|mid)",
    "a text encoder": r"^(?:cond_stage_model|conditioner|transformer|text_model|encoder\.block)\.",
    "a denoiser": r"^(?:down_blocks|input_blocks|double_blocks|transformer_blocks|joint_blocks|blocks|layers)\.\d+\.",
    "an upscaler": r"^(?:model\.\d+\.(?:sub|weight|bias)|body\.\d+\.(?:rdb|weight)|conv_first|RRDB_trunk)",
}
"""{kind of file that is no adapter, with its article: a pattern that names of its tensors match}, the first that
matches any.
"""


def other_kind(key: str) -> str | None:
    """The kind of adapter, no plain LoRA, that a tensor of this name belongs to; None where it is none."""
    return next((kind for kind, pattern in _patterns().items() if pattern.search(key)), None)


def adapter_kind(keys: Collection[str]) -> str | None:
    """The kind of adapter that a file of these tensors is, with its article; None where it is none.

    A plain LoRA is PLAIN. A file of several kinds is the first of OTHER_KINDS that it holds.
    """
    found = {kind for key in keys if (kind := other_kind(key))}
    if found:
        return next(kind for kind in OTHER_KINDS if kind in found)
    if any(LORA.search(key) for key in keys):
        return PLAIN
    alone = len(keys) == 1 and not any("." in key for key in keys)
    return WORD if keys and (alone or WORDS.issuperset(keys)) else None


def other_file(keys: Collection[str]) -> str | None:
    """The kind of a file that is no adapter, with its article; None where it is an adapter or not known."""
    if adapter_kind(keys) is not None:
        return None
    found = (kind for kind, pattern in OTHER_FILES.items() if any(re.search(pattern, key) for key in keys))
    return next(found, None)


def is_adapter(keys: Iterable[str]) -> bool:
    """Whether these are the tensors of a LoRA or another adapter, rather than of a whole model."""
    return adapter_kind(list(keys)) is not None


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """OTHER_KINDS, compiled."""
    return {kind: re.compile(pattern) for kind, pattern in OTHER_KINDS.items()}
