"""MergePersonalizedModels: two LoRAs in one."""

from __future__ import annotations

from comfy_api.latest import io

from ..trainer.runs.personalized import Personalized
from . import sockets
from .comfy_failures import recording_failures
from .comfy_loras import file_inputs, sum_outputs, written_sum


class MergePersonalizedModels(io.ComfyNode):
    """Writes one LoRA that does what two do together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="MergePersonalizedModels",
            display_name="Merge Personalized Models",
            category=sockets.CATEGORY,
            **sockets.found_by("lora", "merge lora", "combine", "svd", "two subjects"),
            description="Writes two LoRAs as one, each at its strength; chain two for three. Each trigger still calls "
            "its subject.",
            is_output_node=True,
            inputs=[
                sockets.PersonalizedModel.Input("first", tooltip="A LoRA, from DreamBooth Train, or a loaded one."),
                sockets.PersonalizedModel.Input("second", tooltip="Another one, of the same base."),
                _strength("strength_first", "first"),
                _strength("strength_second", "second"),
                io.Int.Input("rank", default=0, min=0, max=1024,
                             tooltip="The greatest of a layer, 1 to 1024; 0: as many as lose nothing, at most both "
                             "ranks together."),
                *file_inputs("my_subjects"),
            ],
            outputs=sum_outputs(),
        )  # fmt: skip

    @classmethod
    @recording_failures
    def execute(
        cls,
        first: Personalized,
        second: Personalized,
        strength_first: float,
        strength_second: float,
        rank: int,
        dtype: str,
        name: str,
    ) -> io.NodeOutput:
        """The one LoRA and its errors."""
        return written_sum([(first, strength_first), (second, strength_second)], rank, dtype, name)


def _strength(name: str, of: str) -> io.Input:
    """The input of a strength."""
    return io.Float.Input(
        name,
        default=1.0,
        min=-10.0,
        max=10.0,
        step=0.05,
        tooltip=f"Of {of}, as in Apply: 1 is as trained; not 0.",
    )
