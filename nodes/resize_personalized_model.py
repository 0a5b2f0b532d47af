"""ResizePersonalizedModel: a LoRA at a lower rank."""

from __future__ import annotations

from comfy_api.latest import io

from ..trainer.runs.personalized import Personalized
from . import sockets
from .comfy_failures import recording_failures
from .comfy_loras import file_inputs, sum_outputs, written_sum


class ResizePersonalizedModel(io.ComfyNode):
    """Writes the nearest LoRA of a lower rank, and says how near it is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="ResizePersonalizedModel",
            display_name="Resize Personalized Model",
            category=sockets.CATEGORY,
            **sockets.found_by("lora", "resize lora", "rank", "svd", "smaller"),
            description="Writes a LoRA at a lower rank, as a smaller file, and tells how far it is from the first.",
            is_output_node=True,
            inputs=[
                sockets.PersonalizedModel.Input("personalized_model",
                                                tooltip="A LoRA, from DreamBooth Train, or a loaded one."),
                io.Int.Input("rank", default=8, min=0, max=1024,
                             tooltip="The greatest of a layer, 1 to 1024; 0: as many as lose nothing."),
                *file_inputs("my_subject_small"),
            ],
            outputs=sum_outputs(),
        )  # fmt: skip

    @classmethod
    @recording_failures
    def execute(cls, personalized_model: Personalized, rank: int, dtype: str, name: str) -> io.NodeOutput:
        """The smaller LoRA and its errors."""
        return written_sum([(personalized_model, 1.0)], rank, dtype, name)
