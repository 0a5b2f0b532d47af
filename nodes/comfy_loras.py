"""Resizing and merging of results, for the nodes that do it."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.export.layouts import DTYPES
from ..trainer.model.layers import Layers
from ..trainer.model.source import ShapesOnly
from ..trainer.runs.personalized import Personalized, checked_name, read_personalized
from . import sockets
from .comfy_host import store
from .comfy_outputs import keep_shown


def file_inputs(name: str) -> list[io.Input]:
    """The inputs dtype and name. name: the default."""
    return [
        io.Combo.Input("dtype", options=list(DTYPES), default="fp16",
                       tooltip="Of the weights: fp16 and bf16 take 2 bytes each, fp32 takes 4."),
        io.String.Input("name", default=name, tooltip="Of the file, up to 100 bytes; a number is put after it."),
    ]  # fmt: skip


def sum_outputs() -> list[io.Output]:
    """The outputs of a node that writes a LoRA."""
    return [
        sockets.PersonalizedModel.Output(display_name="PERSONALIZED_MODEL"),
        io.String.Output(display_name="errors", tooltip="How far it is from what went in, by rank and by layer."),
    ]


def written_sum(results: list[tuple[Personalized, float]], rank: int, dtype: str, name: str) -> io.NodeOutput:
    """A LoRA of this rank that is nearest to the sum of results, each at its strength. Raises ValueError."""
    from ..trainer.export.sum_of_loras import SumOfLoras, sum_loras

    layers = _layers(results[0][0])
    with store().new_file("loras", checked_name(name)) as target:
        sources = tuple((result.file, strength) for result, strength in results)
        done = sum_loras(SumOfLoras(sources=sources, target=target, layers=layers, rank=rank, dtype=dtype))
    lines = done.error.summary, *done.error.details, *done.warnings
    shown: dict[str, Any] = {"text": ("\n".join((done.path.name, *lines)),)}
    return io.NodeOutput(read_personalized(done.path, store().word), "\n".join(lines), ui=keep_shown(shown))


def known_layers(result: Personalized) -> Layers | None:
    """The layers of the model that a result was trained from; None where no training here has kept them."""
    from ..trainer.model.layers import layers_in

    shapes = store().kept_shapes(result.trained_from)
    return None if shapes is None else layers_in(ShapesOnly("the base", shapes))


def _layers(result: Personalized) -> Layers:
    """`known_layers`. Raises ValueError where they are not known."""
    layers = known_layers(result)
    if layers is None:
        raise ValueError(
            f"{result.file.name!r} was trained elsewhere, and its model's layers are not known here: use the commands "
            "resize and merge, which take the model as --base."
        )
    return layers
