"""Whether the graph's model was distilled for sampling in few steps, which training would take away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..trainer.wording import Wording
from .comfy_progress import executing, running_graph
from .host_model.kinds import is_distilled

FILES = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")


def distilled_warning(model: Any) -> Wording | None:
    """What to say of a MODEL for few steps; None for any other, as far as its kind and its files' names tell."""
    name = distilled_name(model)
    if name is None:
        return None
    return Wording(
        "{0} is distilled for few steps, which training takes away. Train on the model that it was made from: "
        "the LoRA may be applied to this one, which draws its samples and scores when connected to draw_with.",
        name,
    )


def distilled_name(model: Any, connected_to: str = "model") -> str | None:
    """The kind or the file that says that a MODEL is for few steps; None where nothing does. connected_to: the input of
    the executing node that it comes by.
    """
    node, prompt, _ = executing()
    files = files_above(running_graph(prompt), node or "", connected_to)
    names = [PurePosixPath(file.replace("\\", "/")).name for file in files]
    return next(filter(is_distilled, (*names, type(model.model.model_config).__name__)), None)


def files_above(graph: Mapping[str, Any], node: str, name: str) -> Iterator[str]:
    """The files of models that the nodes name from which an input of a node comes.

    graph: {id: {"inputs": {name: value or [id, output]}}}. name: of the input.
    """
    seen, left = set(), [graph.get(node, {}).get("inputs", {}).get(name)]
    while left:
        value = left.pop()
        if isinstance(value, str) and value.lower().endswith(FILES):
            yield value
        elif isinstance(value, list) and value and value[0] not in seen:
            seen.add(value[0])
            left += graph.get(value[0], {}).get("inputs", {}).values()
