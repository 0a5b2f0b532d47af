"""What was trained, as files that other tools read."""

from .kohya import kohya_tensors
from .original import original_tensors

__all__ = ["kohya_tensors", "original_tensors"]
