"""The method LoRA on a host's model, and its file: the host's own names of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...trainer.export.metadata import COMFYUI
from ...trainer.export.modelspec import SPEC
from ...trainer.files.checked_file import require_same
from ...trainer.files.lazy_tensors import finite
from ...trainer.files.safetensors import CheckpointError, read_tensors
from ...trainer.methods.lora.change import squared_factors, squared_product
from ...trainer.methods.lora.start import kept_settings
from ...trainer.methods.lora.transformer_file import read_transformer_lora
from ...trainer.methods.lora.weights import LoraLayer
from ...trainer.methods.protocol import Folder, Method, ModelFile, Trained
from ...trainer.options import TrainOptions
from ...trainer.options.choices import MethodName, Targets
from ...trainer.options.setting import OptionError
from .branch import Branch, LowRank, new_update
from .kinds import require_supported
from .model import HostModel
from .targets import Linear, block_sizes, sizes_of, target_layers

PREFIX = "diffusion_model."
"""What the host's LoRA loader finds a layer's own name behind."""
WIDEST: Targets = "transformer_and_resnet"
"""The targets of every layer that a LoRA may have."""
DOWN, UP, ALPHA = ".lora_A.weight", ".lora_B.weight", ".alpha"


class HostLora(Method[HostModel]):
    """LoRA on the linear layers of a host's denoiser."""

    name: ClassVar[MethodName] = "lora"
    folder: ClassVar[Folder] = "loras"
    keeps_base: ClassVar[bool] = False

    def __init__(self, continue_from: Path | None = None) -> None:
        """continue_from: a LoRA file of any program to continue, with its rank and alpha."""
        self._start = continue_from

    @staticmethod
    def memory_levers(dtype: torch.dtype | None) -> Iterator[dict[str, Any]]:
        """None: the host manages the model's memory."""
        return iter(())

    def attach(self, base: HostModel, options: TrainOptions) -> None:
        """Put a new branch beside the base's layers. Raises OptionError for options that a host's model does not
        allow, ValueError where it has no layers to train, CheckpointError for a file that does not continue.
        """
        require_supported(options)
        layers = target_layers(base.denoiser, options.targets)
        rank, alpha, device = options.rank, float(options.lora_alpha), base.device
        updates = {name: new_update(layer, name, rank, alpha, options.seed, device) for name, layer in layers.items()}
        if self._start is not None:
            updates |= _started(self._start, layers, options, base, device)
        base.branch = Branch(layers, updates).train()

    def components(self, base: HostModel, options: TrainOptions) -> dict[str, nn.Module]:
        """The branch, which alone is trained."""
        assert base.branch is not None
        return {"denoiser": base.branch}

    def trained(self, base: HostModel) -> dict[str, dict[str, Tensor]]:
        """The updates' weights, by the host's names of the layers."""
        assert base.branch is not None
        updates = base.branch.by_name
        down = {f"{name}{DOWN}": update.down.detach() for name, update in updates.items()}
        return {"denoiser": {**down, **{f"{name}{UP}": update.up.detach() for name, update in updates.items()}}}

    @contextmanager
    def untrained(self, base: HostModel) -> Iterator[HostModel]:
        """The model itself, with every update at a scale of zero, also in a file that is written meanwhile."""
        assert base.branch is not None
        updates = list(base.branch.by_name.values())
        alphas = [update.alpha for update in updates]
        for update in updates:
            update.alpha = 0.0
        try:
            yield base
        finally:
            for update, alpha in zip(updates, alphas, strict=True):
                update.alpha = alpha

    def squared_change(self, base: HostModel, by_factors: bool) -> Tensor:
        """Σ‖s·B·A‖² over the layers with s = alpha/r, or Σ(‖A‖² + ‖B‖²)."""
        assert base.branch is not None
        norm = squared_factors if by_factors else squared_product
        updates = base.branch.by_name.values()
        return torch.stack([norm(one.down, one.up, one.alpha / len(one.down)) for one in updates]).sum()

    def file(self, base: HostModel, trained: Trained) -> ModelFile:
        """The LoRA under the host's names, in float16."""
        assert base.branch is not None
        tensors = {f"{PREFIX}{name}": finite(t.to(torch.float16), name) for name, t in trained["denoiser"].items()}
        tensors |= {f"{PREFIX}{n}{ALPHA}": torch.tensor(update.alpha) for n, update in base.branch.by_name.items()}
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        return ModelFile(tensors, "comfyui", lambda found, name: require_same(found, name, shapes), _metadata(base))


def _metadata(base: HostModel) -> dict[str, str]:
    """The metadata that follow from the branch and the host's model."""
    assert base.branch is not None
    updates = base.branch.by_name.values()
    ranks, alphas = {len(update.down) for update in updates}, {update.alpha for update in updates}
    return {
        f"{SPEC}architecture": f"{base.architecture}/lora",
        f"{SPEC}implementation": COMFYUI,
        "ss_base_model_version": base.architecture,
        "ss_network_module": "networks.lora",
        # As kohya's scripts have it where layers differ.
        "ss_network_dim": str(*ranks) if len(ranks) == 1 else "Dynamic",
        "ss_network_alpha": f"{min(alphas):g}" if len(alphas) == 1 else "Dynamic",
    }


def _started(
    file: Path, layers: Mapping[str, Linear], options: TrainOptions, base: HostModel, device: torch.device
) -> dict[str, LowRank]:
    """The updates in a LoRA file of any program's. Raises OptionError for another rank or alpha than the options',
    CheckpointError for a file that is no LoRA of these layers.
    """
    if options.rank != (rank := kept_settings(file)["rank"]):
        raise OptionError(f"rank is {options.rank}, and {file.name!r} has rank {rank}: leave it unset.")
    found = _read(file, layers, base, options.targets)
    scales = {one.alpha / one.rank for one in found.values()}
    if options.alpha is not None and scales != {options.alpha / options.rank}:
        said = ", ".join(f"{scale * rank:g}" for scale in sorted(scales))
        raise OptionError(f"alpha is {options.alpha:g}, and {file.name!r} has {said}: leave it unset.")
    return {name: LowRank(one.down.to(device), one.up.to(device), one.alpha) for name, one in found.items()}


def _read(file: Path, layers: Mapping[str, Linear], base: HostModel, targets: Targets) -> dict[str, LoraLayer]:
    """{layer: its LoRA} of a file. Raises OptionError where only wider targets have its layers, CheckpointError for a
    file that is no LoRA of this model's.
    """
    tensors = read_tensors(file)
    try:
        return read_transformer_lora(tensors, sizes_of(layers), base.architecture, file.name)
    except CheckpointError:
        if targets == WIDEST or not _is_of_blocks(tensors, base):
            raise
    raise OptionError(f"targets is {targets!r}, and {file.name!r} holds more layers: set targets to {WIDEST!r}.")


def _is_of_blocks(tensors: Mapping[str, Tensor], base: HostModel) -> bool:
    """Whether a file's tensors are a LoRA of layers in the model's repeated blocks."""
    try:
        read_transformer_lora(tensors, block_sizes(base.denoiser), base.architecture, "")
    except CheckpointError:
        return False
    return True
