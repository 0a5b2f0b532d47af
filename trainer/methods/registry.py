"""The training methods by name."""

from ..options.choices import MethodName
from .full import Full
from .lora.adapter import Lora
from .protocol import Method
from .textual_inversion.word import TextualInversion

METHODS: dict[MethodName, type[Full] | type[Lora] | type[TextualInversion]] = {
    Full.name: Full,
    Lora.name: Lora,
    TextualInversion.name: TextualInversion,
}
"""{name of a method: its class}."""

__all__ = ["METHODS", "Full", "Lora", "Method", "TextualInversion"]
