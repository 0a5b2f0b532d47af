"""Continuing the training of an existing LoRA, written by this package, kohya's scripts or diffusers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.safetensors import CheckpointError, read_shapes
from ...options import OptionError, TrainOptions
from .keys import any_style
from .weights import DOWN, LoraWeights, all_layers, ranks

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from ...model.base import Base


def require_continuable(file: Path, options: TrainOptions) -> None:
    """Raises OptionError where the file does not exist, or the method trains no LoRA."""
    if not file.is_file():
        raise OptionError(f"There is no LoRA {file.name!r} to continue from.")
    if options.method != "lora":
        raise OptionError(f"method is {options.method!r}, and {file.name!r} is a LoRA: only 'lora' can continue it.")


def kept_settings(file: Path | None) -> dict[str, Any]:
    """The settings that a run takes over from the LoRA that it continues, unless the user chooses others:
    {"rank": its highest rank}. Empty without a file.

    Raises CheckpointError for a file that is no LoRA.
    """
    if file is None:
        return {}
    halves = {key: shape for key, shape in read_shapes(file).items() if any_style(key)[1] == DOWN}
    if not halves:
        raise CheckpointError(f"{file.name!r} holds no LoRA to continue from.")
    return {"rank": max(shape[0] for shape in halves.values())}


def starting_weights(file: Path, base: Base, options: TrainOptions) -> LoraWeights:
    """The LoRA in a file, checked that a run with these options can continue it.

    Raises OptionError for a rank or alpha other than the file's and for layers that the options do not train,
    CheckpointError for a file that is no LoRA of this base.
    """
    from ...model.layers import layers_of
    from .file import read_lora

    lora = read_lora(file, layers_of(base))
    rank = max(ranks(lora))
    if options.rank != rank:
        raise OptionError(f"rank is {options.rank}, and {file.name!r} has rank {rank}: leave rank unset to keep it.")
    alphas = {layer.alpha for _, _, layer in all_layers(lora)}
    if options.alpha is not None and alphas != {options.alpha}:
        found = ", ".join(f"{alpha:g}" for alpha in sorted(alphas))
        raise OptionError(f"alpha is {options.alpha:g}, and {file.name!r} has {found}: leave alpha unset to keep it.")
    _require_targets(file, lora, base, options)
    return lora


def _require_targets(file: Path, lora: LoraWeights, base: Base, options: TrainOptions) -> None:
    """Raises OptionError where the LoRA has components or layers that the options do not train."""
    encoders = {component for component in lora if component != "denoiser"}
    if encoders and not options.train_text_encoder:
        raise OptionError(f"{file.name!r} changes {', '.join(sorted(encoders))} too: switch train_text_encoder on.")
    targets = {component: rf".*(?:{base.lora_targets(component, options.targets)})" for component in lora}
    left = [f"{c}: {layer}" for c, layer, _ in all_layers(lora) if not re.fullmatch(targets[c], layer)]
    if left:
        raise OptionError(
            f"{file.name!r} has layers that targets {options.targets!r} do not train; choose wider targets: "
            f"{', '.join(sorted(left))}"
        )
