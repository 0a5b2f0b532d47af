"""peft's settings of a LoRA, from `adapter_config.json` or from the header of a file that diffusers wrote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...files.safetensors import CheckpointError, read_metadata

CONFIG = "adapter_config.json"
"""The name of peft's settings beside the weights."""
HEADER = "lora_adapter_metadata"
"""The metadata field in which diffusers 0.34 and later write peft's settings as JSON: "unet.lora_alpha" and
the like.
"""
OTHER_SETTINGS = ("use_dora", "use_qalora", "layer_replication", "target_parameters", "alora_invocation_tokens")
"""Settings that make something else than a plain LoRA of the same matrices."""
CHANGES_THE_BASE = re.compile(r"pissa|olora|corda|loftq|lora_ga", re.IGNORECASE)
"""Values of init_lora_weights that change the base's weights before the training."""


@dataclass(frozen=True)
class PeftSettings:
    """peft's settings of one component's LoRA. values: the fields of its LoraConfig. file: that they stand in.

    Raises CheckpointError, naming the setting, where they make no plain LoRA of the base as it is.
    """

    values: Mapping[str, Any]
    file: str

    def __post_init__(self) -> None:
        kind = self.values.get("peft_type", "LORA")
        if kind not in (None, "LORA"):
            raise CheckpointError(f"{self.file!r} says that this is a {kind} of peft's. Only plain LoRAs can be read.")
        for name in OTHER_SETTINGS:
            if self.values.get(name):
                raise CheckpointError(f"{self.file!r} says {name}: this is no plain LoRA, and is not read.")
        begun = self.values.get("init_lora_weights")
        if isinstance(begun, str) and CHANGES_THE_BASE.match(begun):
            raise CheckpointError(
                f"{self.file!r} says init_lora_weights {begun!r}: it is the LoRA of a base whose weights that changed. "
                "Save it with peft's path_initial_model_for_weight_conversion."
            )

    def alpha(self, names: Iterable[str], rank: int) -> float | None:
        """The alpha of a layer, by which alpha / rank is its scale; None where the settings name none.

        names: the layer's names, without the component's. With use_rslora the scale is alpha / √rank.
        """
        alpha = self._alpha_of(names)
        if alpha is None:
            return None
        return alpha * math.sqrt(rank) if self.values.get("use_rslora") else alpha

    def _alpha_of(self, names: Iterable[str]) -> float | None:
        """The alpha of the first pattern that is one of the layer's names or the end of it, else that of all layers."""
        patterns, names = self.values.get("alpha_pattern"), list(names)
        for pattern, alpha in patterns.items() if isinstance(patterns, dict) else ():
            if any(_matches(str(pattern), name) for name in names):
                return self._number(alpha)
        alpha = self.values.get("lora_alpha")
        return None if alpha is None else self._number(alpha)

    def _number(self, alpha: Any) -> float:
        """The alpha as a number. Raises CheckpointError where it is none."""
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise CheckpointError(f"{self.file!r} says the alpha {alpha!r}, which is no number.")
        return float(alpha)


def settings_beside(file: Path) -> PeftSettings | None:
    """The settings in `adapter_config.json` beside a file, where that is the only one which they can be meant for."""
    config = file.parent / CONFIG
    if not config.is_file():
        return None
    alone = [path for path in file.parent.iterdir() if path.suffix == ".safetensors"] == [file]
    if file.name != "adapter_model.safetensors" and not alone:
        return None
    try:
        text = config.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise CheckpointError(f"{CONFIG!r} in {file.parent} is not UTF-8 ({error}).") from error
    return PeftSettings(_parsed(text, f"{CONFIG!r} in {file.parent}"), CONFIG)


def settings_in_header(file: Path) -> dict[str, PeftSettings]:
    """{component in diffusers' names: settings} in a file's header; empty where there are none.

    Raises CheckpointError where they are no JSON.
    """
    text = read_metadata(file).get(HEADER, "{}")
    values: dict[str, dict[str, Any]] = {}
    for key, value in _parsed(text, f"{HEADER} in the header of {file.name!r}").items():
        component, _, name = key.partition(".")
        values.setdefault(component, {})[name] = value
    return {component: PeftSettings(own, file.name) for component, own in values.items()}


def _matches(pattern: str, name: str) -> bool:
    """Whether peft applies a pattern to a module of this name: it is the whole name, or its last parts."""
    try:
        return re.match(rf"(.*\.)?({pattern})$", name) is not None
    except re.error as error:
        raise CheckpointError(f"peft's settings hold the pattern {pattern!r}, which is none ({error}).") from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    """The JSON object in a text. Raises CheckpointError, naming where it stands, for anything else."""
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{where} is damaged: it is no JSON.") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{where} is damaged: it is {text[:60]!r}.")
    return settings
