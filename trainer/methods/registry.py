"""The training methods by name."""

from typing import Any

from ..options.choices import MethodName
from .dora.adapter import Dora
from .full import Full
from .lidb.adapter import Lidb
from .lokr.adapter import Lokr
from .lora.adapter import Lora
from .protocol import Method
from .textual_inversion.word import TextualInversion

METHODS: dict[MethodName, type[Method[Any]]] = {
    one.name: one for one in (Full, Lora, TextualInversion, Dora, Lokr, Lidb)
}
"""{name of a method: its class}."""

__all__ = ["METHODS", "Dora", "Full", "Lidb", "Lokr", "Lora", "Method", "TextualInversion"]
