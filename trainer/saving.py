"""What a run has trained, written where the host looks for it, and looked at again."""

from __future__ import annotations

import json

import torch

from .base import Base
from .base_sample import FIELD, base_sample
from .export.convert import write_lora
from .export.layers import layers_of
from .export.metadata import Said, layout_metadata, run_metadata
from .export.original import original_tensors
from .export.written import require_same, write_checked
from .methods import Lora, Method
from .personalized import Personalized
from .store import Store


def save_result(base: Base, method: Method, result: Personalized, said: Said, store: Store) -> None:
    """Write `result.file`: a LoRA under kohya's names, or the whole checkpoint. Raises CheckpointError if it is bad."""
    named = {"modelspec.architecture": base.architecture}
    sample = {FIELD: json.dumps(base_sample(base.source))}
    metadata = {**run_metadata(said, base), **result.metadata(), **named, **sample}
    store.keep_shapes(base.source, base.fingerprint)
    if isinstance(method, Lora):
        write_lora(method.weights(base), layers_of(base), "kohya", result.file, metadata, torch.float16)
        return
    store.keep_base(base.source, base.fingerprint)
    marks = base.marks(base.source, base.prediction)
    shapes = {**base.source.shapes, **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
    metadata |= layout_metadata(type(base), "checkpoint", None, base.architecture)
    write_checked(
        {**original_tensors(base, method.trained(base)), **marks},
        result.file,
        metadata,
        lambda found, name: require_same(found, name, shapes),
    )
