"""The training methods by name."""

from typing import Any

from ..options import TrainOptions
from ..options.choices import MethodName
from .dora.adapter import Dora
from .full import Full
from .lidb.adapter import Lidb
from .lokr.adapter import Lokr
from .lora.adapter import Lora
from .pivotal_tuning.word_beside import WordBeside
from .protocol import Method
from .textual_inversion.word import TextualInversion

METHODS: dict[MethodName, type[Method[Any]]] = {
    one.name: one for one in (Full, Lora, TextualInversion, Dora, Lokr, Lidb)
}
"""{name of a method: its class}."""


def new_method(options: TrainOptions, identifier: str, class_noun: str, start: Any = None) -> Method[Any]:
    """The method that options choose for a subject, with the word beside it where they ask for one. start: what its
    `read_start` returned; None begins anew.
    """
    method = METHODS[options.method].begin(identifier, class_noun, start)
    return WordBeside(method, identifier, class_noun) if options.word_share else method


__all__ = ["METHODS", "Dora", "Full", "Lidb", "Lokr", "Lora", "Method", "TextualInversion", "new_method"]
