"""LoRAs with ComfyUI's own names of the layers, for `load_lora_weights` of diffusers' pipelines of the same models."""

from __future__ import annotations

from pathlib import Path

from ..files.checked_file import require_same, write_checked
from ..files.lazy_tensors import finite
from ..files.safetensors import CheckpointError, read_metadata, read_tensors
from ..methods.lora.transformer_file import diffusers_lora, own_lora
from .conversion import Conversion, ConversionError
from .metadata import inherited_metadata
from .modelspec import SPEC, VERSION


def write_for_diffusers(wanted: Conversion) -> Path:
    """Write such a LoRA under diffusers' names, with alpha multiplied in; returns its path.

    Raises ConversionError for another layout, and for an architecture whose names in diffusers are not known.
    """
    source = read_metadata(wanted.source)
    architecture = source.get(f"{SPEC}architecture", "").removesuffix("/lora")
    if wanted.layout != "diffusers":
        raise ConversionError(
            f"{wanted.source.name!r} has ComfyUI's own names of the layers: its LoRA loader reads it as it is, and it "
            f"can be written as 'diffusers' only, not as {wanted.layout!r}."
        )
    try:
        lora = diffusers_lora(own_lora(read_tensors(wanted.source), wanted.source.name), architecture)
    except CheckpointError as error:
        raise ConversionError(f"{wanted.source.name!r} cannot be written for diffusers: {error}") from error
    tensors = {}
    for name, one in lora.items():
        for end, half in (("lora_A", one.down), ("lora_B", one.up)):
            tensors[f"{name}.{end}.weight"] = finite(half.to(wanted.numbers).contiguous(), f"{name}.{end}.weight")
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    rank = str(next(iter(lora.values())).rank)
    said = {
        **inherited_metadata(source),
        f"{SPEC}sai_model_spec": VERSION,
        f"{SPEC}title": wanted.target.stem,
        f"{SPEC}implementation": "diffusers",
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
    }
    return write_checked(tensors, wanted.target, said, lambda found, name: require_same(found, name, shapes))
