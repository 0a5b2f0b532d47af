"""LoadToyBase: a checkpoint of the user's, or the embedded base, with which the templates run before there is one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import checkpoint_file, checkpoint_folder, checkpoint_names, load_checkpoint, progress_bar

log = logging.getLogger("dreambooth")
FILE = "dreambooth-nodes-toybase.safetensors"
MEGABYTES = 487
TOY = "toy base"


class LoadToyBase(io.ComfyNode):
    """Loads a checkpoint; the embedded base is written among them by its first run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        others = [name for name in checkpoint_names() if name != FILE]
        return io.Schema(
            node_id="LoadToyBase",
            display_name="Load Base Model",
            category=sockets.CATEGORY,
            **sockets.found_by("toy base", "example model", "test model", "checkpoint"),
            description="The model that is taught your subject: choose yours here. The toy base is a tiny one, which "
            f"this pack carries, to try things out: its first run writes it into the checkpoints ({MEGABYTES} MB).",
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=[TOY, *others],
                    default=TOY,
                    optional=True,
                    tooltip="A model of your checkpoints folder. Press R where a new one is missing.",
                )
            ],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    @recording_failures
    def execute(cls, checkpoint: str = TOY) -> io.NodeOutput:
        """Model, CLIP and VAE. Raises OSError where the toy base is not there and cannot be written, ValueError for a
        checkpoint that is not there.
        """
        if checkpoint == TOY:
            model, clip, vae = load_checkpoint(current_file() or written())
            decode_without_padding(vae)
            return io.NodeOutput(model, clip, vae)
        file = checkpoint_file(checkpoint)
        if file is None:
            raise ValueError(f"There is no checkpoint {checkpoint!r} any more; press R and choose another.")
        return io.NodeOutput(*load_checkpoint(file))


def decode_without_padding(vae: Any) -> None:
    """Let the host's VAE of the embedded base decode by the narrow one, a thirtieth of the products for the same
    pictures; its weights stay as the file has them.
    """
    from ..toybase.stored_vae import stored_vae

    narrow = stored_vae()

    def decode(latents: Tensor, **_: Any) -> Tensor:
        return narrow.to(latents.device, latents.dtype).decode(latents).sample

    vae.first_stage_model.decode = decode


def current_file() -> Path | None:
    """The file of the embedded base among the checkpoints; None where there is none, or one of an earlier release."""
    from ..toybase.writer import is_outdated

    file = checkpoint_file(FILE)
    return None if file is None or is_outdated(file) else file


def written() -> Path:
    """The file of the embedded base, written into the host's checkpoints with progress on the node's bar."""
    from ..toybase.writer import PARTS, write_checkpoint

    target = checkpoint_folder() / FILE
    log.info("Writing the toy base, once: %s (%d MB)", target, MEGABYTES)
    try:
        return write_checkpoint(target, tell=progress_bar(PARTS))
    except OSError as error:
        raise OSError(
            f"The toy base ({MEGABYTES} MB) could not be written to {target} ({error}). Make room, or make the "
            "folder writable, and press Run again; or choose a model of yours on this node."
        ) from error
