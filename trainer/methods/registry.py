"""The training methods by name."""

from ..options import MethodName
from .full import Full
from .lora.adapter import Lora
from .protocol import Method

METHODS: dict[MethodName, type[Full] | type[Lora]] = {Full.name: Full, Lora.name: Lora}
"""{name of a method: its class}."""

__all__ = ["METHODS", "Full", "Lora", "Method"]
