"""LoadToyBase: the embedded base model, so that the examples run before any real model is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path

from comfy_api.latest import io

from . import sockets
from .comfy_failures import tells_failures
from .comfy_host import checkpoint_file, checkpoint_folder, load_checkpoint, progress_bar

log = logging.getLogger("dreambooth")
FILE = "dreambooth-nodes-toybase.safetensors"
MEGABYTES = 465


class LoadToyBase(io.ComfyNode):
    """Loads the embedded base from the checkpoints; its first run writes the file there."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="LoadToyBase",
            display_name="Load Toy Base",
            category=sockets.CATEGORY,
            **sockets.found_by("example model", "test model", "tiny model"),
            description="The toy base: a tiny model that this pack carries, to try things out. Its first run writes "
            f"it into the checkpoints folder ({MEGABYTES} MB). For your own model put Load Checkpoint in its place.",
            inputs=[],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    @tells_failures
    def execute(cls) -> io.NodeOutput:
        """Model, CLIP and VAE. Raises OSError where the file is not there and cannot be written."""
        return io.NodeOutput(*load_checkpoint(checkpoint_file(FILE) or written()))


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
            "folder writable, and press Run again; or put Load Checkpoint with a model of yours in this node's place."
        ) from error
