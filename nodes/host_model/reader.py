"""Texts of what a graph has changed of a model, which are the same for the same change."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn


class Reader:
    """Texts that are the same for the same values, also in another process. unread: the kinds of values that it could
    not read, whose texts are other ones each time.
    """

    def __init__(self) -> None:
        self.unread: set[str] = set()

    def described(self, value: Any) -> str:
        """The text of a value."""
        if value is None or isinstance(value, bool | int | float | str | torch.dtype):
            return repr(value)
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self.described, value))}]"
        if isinstance(value, Mapping):
            return f"{{{', '.join(f'{key}: {self.described(one)}' for key, one in sorted(value.items()))}}}"
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, FunctionType | MethodType | nn.Module):
            return self._function(value)
        if hasattr(value, "weights"):
            # The host's adapters: LoRA, LoHa, LoKr and others.
            return f"{type(value).__name__} {self.described(value.weights)}"
        self.unread.add(type(value).__name__)
        return f"{type(value).__name__} {uuid.uuid4()}"

    def _tensor(self, value: Tensor) -> str:
        """The text of a tensor: of all its bytes, or of the parts that it is made of."""
        if type(value) not in (Tensor, nn.Parameter) and hasattr(value, "__tensor_flatten__"):
            parts = {name: getattr(value, name) for name in value.__tensor_flatten__()[0]}
            return f"{type(value).__name__} {self.described(parts)}"
        held = value.detach().cpu().contiguous()
        digest = hashlib.sha256(held.view(torch.uint8).numpy().data if held.ndim else repr(held.item()).encode())
        return f"{tuple(held.shape)} {held.dtype} {digest.hexdigest()}"

    def _function(self, value: Any) -> str:
        """The text of a function or a layer's method, which merges of models are patched by: its code, and what it
        holds.
        """
        if isinstance(value, MethodType):
            return f"{self.described(value.__self__)}.{self.described(value.__func__)}"
        if isinstance(value, nn.Module):
            return f"{type(value).__name__} {self.described(value.state_dict())}"
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__]
        return f"{value.__module__} {_code(value.__code__)} {self.described(held)} {self.described(defaults)}"


def _code(code: CodeType) -> str:
    """The text of a function's code."""
    constants = [_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_name} {code.co_code.hex()} {code.co_names} {constants}"
