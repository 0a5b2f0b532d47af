"""Continuing the training of an existing LoRA, in a file or folder of any program's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.adapter_kinds import DORA, PLAIN, adapter_kind
from ...files.safetensors import CheckpointError, listed
from ...files.weight_names import weight_shapes
from ...options import CHOICES, TrainOptions
from ...options.setting import OptionError
from .folder import adapter_files, no_lora
from .keys import any_style
from .weights import DOWN, LoraWeights, all_layers

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from ...model.base import Base
    from ...model.layers import Place
    from .file import ReadLora


def kept_settings(file: Path) -> dict[str, Any]:
    """The settings that a run takes over from the LoRA that it continues, unless the user chooses others:
    {"rank": its highest rank}, and "conv_rank" where its 3 x 3 convolutions have another.

    Raises CheckpointError for a file that is no LoRA or DoRA.
    """
    found = [weight_shapes(own.file) for own in adapter_files(file)]
    if kind := next((kind for shapes in found if (kind := adapter_kind(shapes)) not in (PLAIN, DORA)), None):
        raise CheckpointError(f"{file.name!r} is {kind}. Only LoRAs, DoRAs, LoKrs and LiDBs can be continued.")
    halves = [shape for shapes in found for key, shape in shapes.items() if any_style(key)[1] == DOWN and shape]
    if not halves:
        raise no_lora(file)
    wide = {shape[0] for shape in halves if any(side > 1 for side in shape[2:])}
    rank = max([shape[0] for shape in halves if not any(side > 1 for side in shape[2:])] or wide)
    return {"rank": rank} | ({"conv_rank": max(wide)} if wide and max(wide) != rank else {})


def starting_weights(file: Path, base: Base, options: TrainOptions) -> ReadLora:
    """The LoRA in a file, checked that a run with these options can continue it.

    Raises OptionError for a rank or alpha other than the file's and for layers that the options do not train,
    CheckpointError for a file that is no LoRA of this base.
    """
    from ...model.layers import layers_of
    from .file import read_lora

    lora = read_lora(file, layers_of(base))
    require_fits(file, lora, base, options)
    return lora


def require_fits(file: Path, lora: LoraWeights, base: Base, options: TrainOptions) -> None:
    """Raises OptionError for a rank or alpha other than the LoRA's, and for layers that the options do not train."""
    wide = {layer.rank for _, _, layer in all_layers(lora) if layer.is_wide}
    rank = max({layer.rank for _, _, layer in all_layers(lora) if not layer.is_wide} or wide)
    if options.rank != rank:
        raise OptionError(f"rank is {options.rank}, and {file.name!r} has rank {rank}: leave rank unset to keep it.")
    if wide and max(wide) != (options.conv_rank or options.rank):
        raise OptionError(
            f"conv_rank is {options.conv_rank}, and {file.name!r} has {max(wide)}: leave conv_rank unset to keep it."
        )
    alphas = {layer.alpha for _, _, layer in all_layers(lora) if not layer.is_wide or not options.conv_rank}
    if options.alpha is not None and alphas != {options.alpha}:
        found = ", ".join(f"{alpha:g}" for alpha in sorted(alphas))
        raise OptionError(f"alpha is {options.alpha:g}, and {file.name!r} has {found}: leave alpha unset to keep it.")
    _require_targets(file, lora, base, options)


def _require_targets(file: Path, lora: LoraWeights, base: Base, options: TrainOptions) -> None:
    """Raises OptionError where the LoRA has components or layers that other options would train."""
    encoders = {component for component in lora if component != "denoiser"}
    if encoders and not options.train_text_encoder:
        raise OptionError(f"{file.name!r} changes {', '.join(sorted(encoders))} too: switch train_text_encoder on.")
    left = {(component, layer) for component, layer, _ in all_layers(lora)}
    left -= _trained_by(options.targets, left, base)
    # What no targets train is trained along (see `Lora`), so that only a wider choice is asked for.
    for wider in CHOICES["targets"]:
        if more := _trained_by(wider, left, base):
            raise OptionError(
                f"{file.name!r} has layers that targets {options.targets!r} do not train; choose wider targets, "
                f"{wider!r}: {listed(f'{component}: {layer}' for component, layer in more)}"
            )


def _trained_by(targets: str, places: set[Place], base: Base) -> set[Place]:
    """Those of the layers that a value of the option `targets` trains."""
    return {
        (component, layer)
        for component, layer in places
        if re.fullmatch(rf".*(?:{base.lora_targets(component, targets)})", layer)
    }
