"""The tab's controls, which the tab lays out and the handlers read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Controls:
    """The components that handlers read and write.

    asked: {field of `Asked`: component}. options: {field of `TrainOptions`: component}. shown: what a view changes.
    nouns: the suggested class nouns. mistakes: {what is wrong with it: component}: noun, words, start (the LoRA to go
    on from), counts, training, machine.
    """

    photos: Any
    class_images: Any
    thumbnails: Any
    faults: Any
    pick: Any
    report: Any
    refresh: Any
    preset_steps: Any
    mistakes: dict[str, Any]
    asked: dict[str, Any]
    options: dict[str, Any]
    suggest: Any = None
    nouns: Any = None
    train: Any = None
    stop: Any = None
    resume: Any = None
    status: Any = None
    beat: Any = None
    watch: Any = None
    curve: Any = None
    samples: Any = None
    step: Any = None
    choose: Any = None
    send: Any = None
    parameters: Any = None
    history: Any = None
    next: Any = None
    check: Any = None
    machine: Any = None
    shown: list[Any] = field(default_factory=list)
