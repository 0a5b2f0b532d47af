"""ExportPersonalizedModel: a result for other tools."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..trainer.export.conversion import Conversion
from ..trainer.export.layouts import DTYPES, LAYOUTS, LORA_LAYOUTS, Layout
from ..trainer.files.atomic import next_numbered_path
from ..trainer.runs.personalized import Personalized, checked_name
from . import sockets
from .comfy_base_file import base_file
from .comfy_failures import recording_failures
from .comfy_host import store
from .comfy_loras import known_layers
from .comfy_outputs import keep_shown


class ExportPersonalizedModel(io.ComfyNode):
    """Writes a LoRA or a whole model in the layout that another tool reads."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ExportPersonalizedModel",
            display_name="Export Personalized Model",
            category=sockets.CATEGORY,
            **sockets.found_by("lora", "save lora", "save checkpoint", "kohya", "diffusers"),
            description="Writes the subject's model in another layout, and checks the file.",
            is_output_node=True,
            inputs=[
                sockets.PersonalizedModel.Input("personalized_model",
                                                tooltip="From DreamBooth Train, or a loaded one."),
                io.Combo.Input("layout", options=list(LAYOUTS), default="diffusers",
                               tooltip="kohya, diffusers: a LoRA. difference: a full result as a small LoRA. "
                               "checkpoint, diffusers folder: everything in one. lidb: what the method lidb trained, "
                               "in some kB."),
                io.Int.Input("rank", default=32, min=1, max=1024,
                             tooltip="Of the layout difference, 1 to 1024; 32 to 128 are usual."),
                io.Combo.Input("dtype", options=list(DTYPES), default="fp16",
                               tooltip="Of the weights: fp16 and bf16 take 2 bytes each, fp32 takes 4."),
                io.String.Input("name", default="my_subject",
                                tooltip="Of the file, up to 100 bytes; a number is put after it."),
                io.Model.Input("model", optional=True, tooltip="What the LoRA was trained from, to merge it into."),
                io.Clip.Input("clip", optional=True, tooltip="Of the same checkpoint as the model."),
                io.Vae.Input("vae", optional=True, tooltip="Of the same checkpoint as the model."),
            ],
            outputs=[io.String.Output(display_name="path")],
        )  # fmt: skip

    @classmethod
    @recording_failures
    def execute(
        cls,
        personalized_model: Personalized,
        layout: Layout,
        rank: int,
        dtype: str,
        name: str,
        model: Any = None,
        clip: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        """The path of what was written."""
        from ..trainer.export.convert import convert

        base, prediction = _base(personalized_model, model, clip, vae)
        with _target(layout, checked_name(name)) as target:
            wanted = Conversion(
                source=personalized_model.file,
                layout=layout,
                target=target,
                base=base,
                layers=known_layers(personalized_model) if base is None else None,
                rank=rank,
                dtype=dtype,
                prediction=prediction,
            )
            done = convert(wanted)
        lines = f"{done.path.name}: {done.error or layout}", *done.warnings
        shown = {"text": ("\n".join(lines),), "dreambooth_file": [str(done.path), *lines[1:]]}
        return io.NodeOutput(str(done.path), ui=keep_shown(shown))


def _base(result: Personalized, model: Any, clip: Any, vae: Any) -> tuple[Path | None, str | None]:
    """The weights that the result was trained from: as kept, or as connected. Raises ValueError for others."""
    kept = store().kept_base(result.trained_from)
    given = [part for part in (model, clip, vae) if part is not None]
    if given and len(given) < 3:
        raise ValueError("model, clip and vae go together: connect all three, or none.")
    if not given:
        return (kept if kept.is_file() else None), None
    written = base_file(model, clip, vae)
    if written.fingerprint != result.trained_from:
        raise ValueError(f"{result.file.name!r} was trained from another model than the connected one.")
    return written.path, written.prediction


def _target(layout: Layout, name: str) -> AbstractContextManager[Path]:
    """A new name, which no training and no other export is given meanwhile."""
    place = store()
    if layout == "diffusers folder":
        return nullcontext(next_numbered_path(place.work / "diffusers", name, ""))
    if layout == "lidb":
        # The host's loader of LoRAs offers what lies in its folder, and reads no LiDB of one tensor.
        return nullcontext(next_numbered_path(place.work / "lidb", name))
    return place.new_file("loras" if layout in LORA_LAYOUTS else "checkpoints", name)
