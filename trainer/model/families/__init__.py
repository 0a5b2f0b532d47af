"""The model families. A new family is a new file and an entry in FAMILIES."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...files.adapter_kinds import adapter_kind
from ...files.safetensors import CheckpointError, Shapes
from ..base import Base
from ..diffusers_folder import folder_files
from ..fingerprint import fingerprint
from ..keys import Components
from ..source import CheckpointFile, Part, PartFiles, Parts, Source, file_shapes
from .latent_diffusion.build import clip_tokenizer as clip_tokenizer
from .stable_diffusion_1 import StableDiffusion1
from .stable_diffusion_2 import StableDiffusion2
from .stable_diffusion_x4 import StableDiffusionX4
from .stable_diffusion_xl import StableDiffusionXL

DENOISER = "model.diffusion_model"
"""The prefix, without its dot, of the denoiser's weights in a checkpoint of the original layout."""
FAMILIES: list[type[Base]] = [StableDiffusion1, StableDiffusion2, StableDiffusionXL, StableDiffusionX4]
"""All families, in the order in which they are asked whether they recognise a model."""


def open_source(path: Path) -> Source:
    """The model at a path: a checkpoint file in the original layout, or a diffusers folder.

    Raises CheckpointError for anything else.
    """
    if not path.is_dir():
        return CheckpointFile(path)
    files, hints = folder_files(path, (family.diffusers["denoiser"] for family in FAMILIES))
    return Parts(path.name, _parts(path.name, files), hints)


def source_of(base: Path | Source) -> Source:
    """The source at a path (see `open_source`); a source is returned as it is."""
    return open_source(base) if isinstance(base, Path) else base


def separate_files(denoiser: Path, text_encoders: Sequence[Path], vae: Path) -> Parts:
    """The model made of a denoiser's file, its text encoders' and its VAE's, each in any layout that its family reads.

    Raises CheckpointError for a file that does not hold the component that it is given for.
    """
    files = PartFiles((denoiser,), tuple((file,) for file in text_encoders), (vae,))
    return Parts(denoiser.name, _parts(denoiser.name, files), CheckpointFile(denoiser).hints)


def family_of(source: Source) -> type[Base]:
    """The family of a model, recognised by its tensors' names and shapes.

    Raises CheckpointError, describing the tensors, for a model of no family, and for one whose components hold tensors
    that its family has no module for.
    """
    for family in FAMILIES:
        if family.recognises(source.shapes):
            family.remainder(source.shapes).require_known(source.name, family.family)
            return family
    raise _of_no_family(source.name, source.shapes)


def family_named(name: str) -> type[Base]:
    """The family of this short name. Raises CheckpointError where there is none."""
    for family in FAMILIES:
        if family.family == name:
            return family
    raise CheckpointError(f"{name!r} is no family of models here: {', '.join(one.family for one in FAMILIES)}.")


def load_base(
    path: Path | Source,
    prediction: str | None = None,
    dtype: torch.dtype = torch.float32,
    known_fingerprint: str | None = None,
    text_dtype: torch.dtype = torch.float32,
) -> Base:
    """The pretrained model in a .safetensors file, a diffusers folder or any other source; frozen, on the CPU.

    prediction: "epsilon" or "v_prediction", needed where the model does not tell. dtype: of the denoiser's layers; see
    `Method.load_dtype`. known_fingerprint, text_dtype: see `Base`. Raises CheckpointError, describing the tensors, when
    no family recognises it.
    """
    source = source_of(path)
    return family_of(source)(source, prediction, dtype, known_fingerprint, text_dtype)


def fingerprint_of(path: Path | Source) -> str:
    """The fingerprint of a model, computed without building it. Raises CheckpointError for a model of no
    known family.
    """
    source = source_of(path)
    return fingerprint(Components(source, family_of(source).key_tables(source.shapes)))


def _parts(name: str, files: PartFiles) -> tuple[Part, ...]:
    """The components of a model in several files, by the first family that recognises them. Raises CheckpointError."""
    for family in FAMILIES:
        if (parts := family.parts(files)) is not None:
            return parts
    raise _of_no_family(name, file_shapes(files.denoiser))


def _of_no_family(name: str, shapes: Shapes) -> CheckpointError:
    """The error for a model that no family recognises, with a description of its tensors."""
    return CheckpointError(
        f"{name!r} is of no family that can be trained here (so far: "
        f"{', '.join(family.family for family in FAMILIES)}). {_described(shapes)}"
    )


def _described(shapes: Shapes) -> str:
    """A description of an unknown model's tensors, for the error message."""
    if kind := adapter_kind(shapes):
        return f"It is {kind}: name the checkpoint that it changes."
    contexts = sorted({shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight")})
    channels = sorted({shape[1] for key, shape in shapes.items() if key.endswith("input_blocks.0.0.weight")})
    groups = sorted({".".join(key.split(".")[:2]) for key in shapes})
    seen = [f"{len(shapes)} tensors"]
    seen += [f"a context of {', '.join(map(str, contexts))}"] * bool(contexts)
    seen += [f"a denoiser that is shown {', '.join(map(str, channels))} channels"] * bool(channels)
    alone = "; a denoiser alone needs its text encoders and its VAE named beside it" * (groups == [DENOISER])
    return f"It holds {', '.join(seen)}: {', '.join(groups[:8])}{' …' if len(groups) > 8 else ''}{alone}"
