"""The tensors of a .safetensors file by name: weights, and what stands beside quantised ones.

Reads headers only, and imports no torch: a host that trains in another process may have another one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from .safetensors import CheckpointError, Shapes, listed, read_shapes

MARKER = "scaled_fp8"
"""The end of the marker's name in files of the older spelling."""
FORMAT = "comfy_quant"
"""The end of the name of a layer's format: JSON in bytes."""
SCALES = ("scale_weight", "weight_scale", "weight_scale_inv")
"""The ends of the names of scales. The last is the name of block scales, and by the values it is no inverse."""
OF_INPUTS = ("scale_input", "input_scale")
"""The ends of the names of scales for activations, which multiply and divide to nothing in exact arithmetic."""
UNREADABLE = {
    "NVFP4 or another format with two scales": r"\.weight_scale_2$",
    "a format with smoothed weights (AWQ)": r"\.pre_quant_scale$",
    "bitsandbytes (4 bits)": r"\.(?:absmax|quant_map|nested_absmax|nested_quant_map)$|\.quant_state\.bitsandbytes__",
    "bitsandbytes (8 bits)": r"\.SCB$",
    "GPTQ or AWQ": r"\.(?:qweight|qzeros|g_idx)$",
    "nunchaku (SVDQuant)": r"\.(?:wscales|wtscale|smooth_factor|smooth_factor_orig|proj_down)$",
    "quanto": r"\._(?:data|scale|shift)$",
    "a format with zero points": r"\.weight_zero_point$",
}
"""{kind of quantised file that is not read: a pattern of names of its tensors}."""
ANY_UNREADABLE = re.compile("|".join(UNREADABLE.values()))
PLAIN_FILE = "Name the model's file in fp16, bf16 or fp32 instead."


def weight_shapes(path: Path) -> Shapes:
    """{name: shape} of a file's tensors without scales and markers; no weight is read.

    Raises CheckpointError for a damaged file, and for a kind of quantised file that is not read.
    """
    shapes = read_shapes(path)
    require_readable(path.name, shapes)
    return {key: shape for key, shape in shapes.items() if not is_quantization_data(key)}


def is_quantization_data(key: str) -> bool:
    """Whether a tensor of this name describes quantised weights and is none itself: a scale of weights or inputs, a
    format or an FP8 marker. Only of the formats that are read.
    """
    end = key.rpartition(".")[2]
    return end in (*SCALES, *OF_INPUTS, FORMAT, MARKER) or key.endswith(("_weight_scale", "_weight_scale_inv"))


def scale_names(key: str) -> Iterable[str]:
    """The names that the scale of a weight may have."""
    layer = key.removesuffix(".weight")
    if layer != key:
        yield from (f"{layer}.{end}" for end in SCALES)
    yield from (f"{key}_scale", f"{key}_scale_inv")


def require_readable(file: str, names: Collection[str]) -> None:
    """Raises CheckpointError, naming the kind, for tensors of a quantised file that is not read, and for scales without
    a weight.
    """
    if key := next((key for key in names if ANY_UNREADABLE.search(key)), None):
        kind = next(kind for kind, pattern in UNREADABLE.items() if re.search(pattern, key))
        raise CheckpointError(f"{file!r} is quantised by {kind} ({key!r}): not read. {PLAIN_FILE}")
    ends = (*(f".{end}" for end in SCALES), "_weight_scale", "_weight_scale_inv")
    if found := {key for key in names if key.endswith(ends)}:
        used = {scale for key in names if not is_quantization_data(key) for scale in scale_names(key)}
        if alone := found - used:
            raise CheckpointError(f"{file!r} holds {listed(alone)}: scales without weights. Fetch the file again.")
