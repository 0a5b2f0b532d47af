"""What a training is asked to do, checked, and as words of the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from ..command_line.option_flags import flag, said_default
from ..trainer.methods.start import kept_settings, require_continuable
from ..trainer.model.noise_process import Prediction
from ..trainer.options import KINDS, TrainOptions
from ..trainer.options.setting import OptionError
from ..trainer.presets import DEFAULT, preset_named
from ..trainer.prompts import PromptTemplates, checked_class_noun, checked_identifier, filled
from ..trainer.runs.personalized import checked_name
from ..trainer.subject.buckets import SIDE_STEP, SMALLEST_SIDE
from ..trainer.subject.close_ups import check_count
from .host import models


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. Raises ValueError, naming the field, for what cannot be trained.

    photos: a folder of photos that this extension keeps. class_images: one of the user's own class images, beside
    those that are drawn; without `priors` instead of them. base: as the WebUI names it; "" becomes the name of its
    current one, whatever is current later. prediction: what the base predicts, "epsilon" or "v_prediction"; "": as its
    file shows. identifier: "" lets the lookup pick. continue_from: a LoRA of the WebUI's to go on from, with its rank
    and alpha; "": a new one. buckets: whether each photo is trained in its own shape, at about `resolution` x
    `resolution` pixels. close_ups: of each photo that is large enough. resolution, priors: None leaves them to the base
    and the preset. options: fields of `TrainOptions` that are said.
    """

    photos: Path
    class_noun: str
    class_images: Path | None = None
    identifier: str = ""
    base: str = ""
    prediction: str = ""
    method: str = "lora"
    preset: str = DEFAULT
    name: str = "my_subject"
    continue_from: str = ""
    resolution: int | None = None
    buckets: bool = False
    close_ups: int = 0
    priors: int | None = None
    instance_prompt: str = PromptTemplates().instance
    class_prompt: str = PromptTemplates().class_
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_class_noun(self.class_noun)
        checked_name(self.name)
        if self.identifier:
            filled(self.instance_prompt, checked_identifier(self.identifier), self.class_noun)
        if unknown := sorted(set(self.options) - set(KINDS)):
            raise OptionError(f"there is no option {unknown[0]!r}; there are: {', '.join(KINDS)}.")
        object.__setattr__(self, "options", {n: _typed(n, v) for n, v in self.options.items() if v not in (None, "")})
        templates = PromptTemplates(self.instance_prompt, self.class_prompt)
        said = TrainOptions(**{**self.options, "method": self.method, "templates": templates})
        preset_named(self.preset).options(said.method)
        require_prediction(self.prediction)
        require_counts(self.resolution, self.priors)
        check_count(self.close_ups)
        self.base_file()
        object.__setattr__(self, "base", self.base or models.current_checkpoint())
        if lora := self.lora_file():
            require_continuable(lora, said)
            kept_settings(lora)

    def base_file(self) -> Path:
        """The base's file. Raises ValueError; see `base_file`."""
        return base_file(self.base)

    def lora_file(self) -> Path | None:
        """The file of the LoRA to continue from, None for a new one.

        Raises ValueError where the WebUI lists none of that name.
        """
        return lora_file(self.continue_from) if self.continue_from else None

    def words(self) -> list[str]:
        """The command `train` with all its flags."""
        store, device = models.store(), models.device()
        said: dict[str, Any] = {
            "base": self.base_file(),
            "prediction": self.prediction or None,
            "continue_from": self.lora_file(),
            "photos": self.photos,
            "class_images": self.class_images,
            "noun": self.class_noun,
            "identifier": self.identifier or "auto",
            "name": self.name,
            "preset": self.preset,
            "method": self.method,
            "width": self.resolution or 0,
            "buckets": self.buckets or None,
            "close_ups": self.close_ups or None,
            "priors": self.priors,
            "instance_prompt": self.instance_prompt,
            "class_prompt": self.class_prompt,
            "output": store.work.parent,
            "loras": store.loras,
            "checkpoints": store.checkpoints,
            "embeddings": store.embeddings,
            "word": store.word,
            "device": device or None,
            # More at once are no faster there, and a training is stopped and seen to move picture by picture.
            "prior_batch_size": 1 if device == "cpu" else None,
            **{name: value for name, value in self.options.items() if value != said_default(name)},
        }
        # With the sign of equality a value may begin with a dash.
        return ["train", "--events", *(_word(name, value) for name, value in said.items() if value is not None)]

    def fields(self) -> dict[str, Any]:
        """Ready for JSON."""
        own = str(self.class_images) if self.class_images else None
        return {**asdict(self), "photos": str(self.photos), "class_images": own}


def require_prediction(name: str) -> None:
    """Raises ValueError unless it is one, or "" for what the base's file shows."""
    if name not in ("", *get_args(Prediction)):
        raise ValueError(f"prediction is {name!r}; it must be {' or '.join(get_args(Prediction))}, or left out.")


def require_counts(resolution: int | None, priors: int | None) -> None:
    """Raises ValueError for a side that cannot be trained, and for less than no class images."""
    if resolution and (resolution < SMALLEST_SIDE or resolution % SIDE_STEP):
        raise ValueError(
            f"resolution is {resolution}; it must be a multiple of {SIDE_STEP}, {SMALLEST_SIDE} or more, or 0 for the "
            "base's own."
        )
    if priors is not None and priors < 0:
        raise ValueError(f"class images are {priors}; it must be 0 or more.")


def base_file(name: str) -> Path:
    """A base by the WebUI's name for it. Raises ValueError where it has none, or one that is not safetensors."""
    file = models.checkpoint_file(name)
    if file is None:
        asked = f"the WebUI lists no checkpoint {name!r}" if name else "the WebUI has no checkpoint"
        raise ValueError(f"{asked}: put one into its Stable-diffusion folder and refresh the list.")
    if file.suffix != ".safetensors":
        raise ValueError(f"{file.name} can run code when it is opened: choose a .safetensors checkpoint.")
    return file


def lora_file(name: str) -> Path:
    """A LoRA by the WebUI's name for it. Raises ValueError where its folder has none of that name."""
    offered = models.loras()
    file = offered.get(name) or next((file for file in offered.values() if file.stem == name), None)
    if file is None:
        raise ValueError(f"the WebUI's LoRA folder has no {name!r}: put it there (.safetensors) and refresh the lists.")
    return file


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag(name) if value else flag(f"no_{name}")
    return f"{flag(name)}={value}"


def _typed(name: str, value: Any) -> Any:
    kind = KINDS[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, kind) if kind in (str, bool) else number and math.isfinite(value) and value == kind(value):
        return kind(value)
    raise OptionError(f"{name} is {value!r}; it must be {_KINDS[kind]}.")


_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
