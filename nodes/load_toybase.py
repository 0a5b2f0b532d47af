"""LoadToyBase: the embedded base model, so that the examples run before any real model is downloaded."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from . import sockets
from .comfy_host import checkpoint_file, checkpoint_folder, load_checkpoint

FILE = "dreambooth-nodes-toybase.safetensors"
PACK = Path(__file__).resolve().parent.parent


class LoadToyBase(io.ComfyNode):
    """Loads the embedded base from the checkpoints; where it is not there, says how to write it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="LoadToyBase",
            display_name="Load Toy Base",
            category=sockets.CATEGORY,
            description="The tiny model that this pack carries, for trying things out. "
            "Put Load Checkpoint in its place for your own model.",
            inputs=[],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def fingerprint_inputs(cls) -> str:
        """Changes when the file does."""
        file = checkpoint_file(FILE)
        return f"{file.stat().st_mtime_ns}" if file else "missing"

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Model, CLIP and VAE. Raises FileNotFoundError with the one command that writes the file."""
        file = checkpoint_file(FILE)
        if file is None:
            target = checkpoint_folder() / FILE
            raise FileNotFoundError(
                f'{FILE} is not among the checkpoints. Write it: python "{PACK}" toybase "{target}"'
            )
        return io.NodeOutput(*load_checkpoint(file))
