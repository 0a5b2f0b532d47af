"""The graph's model as it is trained: through a file of its weights, or in the host's memory."""

from __future__ import annotations

from typing import Any

from .comfy_base_file import BaseFile, base_file
from .host_model.kinds import is_host_trained
from .host_model.training import HostBase, host_base


def graph_base(model: Any, clip: Any, vae: Any) -> BaseFile | HostBase:
    """The base of a graph: a file where a family of ours reads its weights, else the host's own objects.

    Raises CheckpointError or ValueError for a model that cannot be trained.
    """
    return (host_base if is_host_trained(model) else base_file)(model, clip, vae)
