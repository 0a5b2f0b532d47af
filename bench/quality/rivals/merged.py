"""Other trainers' files, put into the weights of a base's denoiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from ....trainer.model.base import Base

DOWN, UP, ALPHA, WEIGHT, BIAS = "down", "up", "alpha", "weight", "bias"
ENDINGS = {
    ".lora.down.weight": DOWN,
    ".lora.up.weight": UP,
    ".lora_A.weight": DOWN,
    ".lora_B.weight": UP,
    ".lora_down.weight": DOWN,
    ".lora_up.weight": UP,
    ".alpha": ALPHA,
    ".diff": WEIGHT,
    ".diff_b": BIAS,
}
"""diffusers', PEFT's and ComfyUI's names of one module's change."""

Parts = dict[str, Tensor]


class UnknownWeights(ValueError):
    """A file changes something that the denoiser does not have; the message lists the names."""


class MergedDenoiser:
    """A base whose denoiser takes one LoRA after another; each starts from the weights it had at first."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._first: dict[str, Tensor] = {}

    def add(self, differences: Mapping[str, Tensor]) -> Base:
        """The base with {our name: difference, of the weight's size} added. Raises UnknownWeights."""
        weights = _weights(self.base, differences)
        for name, weight in _weights(self.base, self._first).items():
            weight.copy_(self._first[name])
        self._first = {name: weight.clone() for name, weight in weights.items()}
        for name, weight in weights.items():
            weight.add_(differences[name].reshape(weight.shape).to(weight))
        return self.base


def replace_weights(base: Base, replacements: Mapping[str, Tensor]) -> Base:
    """The base with {our name: weight} as its denoiser's. Raises UnknownWeights unless all are given, and no other."""
    names = [name for name, _ in base.denoiser.named_parameters()]
    if missing := sorted(set(names) - replacements.keys()):
        raise UnknownWeights(f"weights of the denoiser that the file lacks: {', '.join(missing)}")
    for name, weight in _weights(base, replacements).items():
        weight.copy_(replacements[name])
    return base


def differences(tensors: Mapping[str, Tensor], module_name: Callable[[str], str | None]) -> dict[str, Tensor]:
    """{our name of a weight: float32 difference} for a LoRA file: alpha / rank · up · down, and what is added whole.

    `module_name` maps the file's name of a module to ours, or to None where it is not the denoiser's. Without an
    alpha it is the rank. Raises UnknownWeights for names of no known form, or of no module of ours.
    """
    found: dict[str, Tensor] = {}
    for module, parts in _by_module(tensors, module_name).items():
        if DOWN in parts or UP in parts:
            found[f"{module}.weight"] = _low_rank(module, parts)
        if WEIGHT in parts:
            found[f"{module}.weight"] = parts[WEIGHT].float()
        if BIAS in parts:
            found[f"{module}.bias"] = parts[BIAS].float()
    return found


def trained_weights(tensors: Mapping[str, Tensor]) -> int:
    """How many numbers of a LoRA file were trained: all but the alphas."""
    return sum(tensor.numel() for key, tensor in tensors.items() if not key.endswith(".alpha"))


def share(trained: int, base: Base) -> float:
    """`trained` weights of the denoiser's and the text encoders' together, 0 to 1."""
    return trained / sum(_count(module.parameters()) for module in (base.denoiser, *base.text_encoders.values()))


def _count(weights: Iterable[Tensor]) -> int:
    return sum(weight.numel() for weight in weights)


def _low_rank(module: str, parts: Parts) -> Tensor:
    if not {DOWN, UP} <= parts.keys():
        raise UnknownWeights(f"{module} has one half of a LoRA: {', '.join(sorted(parts))}")
    down, up = parts[DOWN].float(), parts[UP].float()
    rank = down.shape[0]
    scale = float(parts.get(ALPHA, torch.tensor(float(rank)))) / rank
    return scale * (up.flatten(1) @ down.flatten(1))


def _by_module(tensors: Mapping[str, Tensor], module_name: Callable[[str], str | None]) -> dict[str, Parts]:
    modules: dict[str, Parts] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        ending = next((ending for ending in ENDINGS if key.endswith(ending)), None)
        module = ending and module_name(key.removesuffix(ending))
        if ending is None or not module:
            unknown.append(key)
        else:
            modules.setdefault(module, {})[ENDINGS[ending]] = tensor
    if unknown:
        raise UnknownWeights(f"names that are not the denoiser's: {', '.join(sorted(unknown))}")
    return modules


def _weights(base: Base, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = {name: weight.detach() for name, weight in base.denoiser.named_parameters()}
    unknown = [name for name in wanted if name not in weights or wanted[name].numel() != weights[name].numel()]
    if unknown:
        raise UnknownWeights(f"no weights of the denoiser, or not of their size: {', '.join(sorted(unknown))}")
    return {name: weights[name] for name in wanted}
