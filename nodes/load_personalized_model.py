"""LoadPersonalizedModel: an earlier result, newest first."""

from __future__ import annotations

from comfy_api.latest import io

from ..trainer.runs.past_runs import results
from ..trainer.runs.run import relative
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import store


class LoadPersonalizedModel(io.ComfyNode):
    """Lists what was trained here, and knows what to say in a prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        choices = [relative(found.file, store()) for _, found in results(store())]
        return io.Schema(
            node_id="LoadPersonalizedModel",
            display_name="Load Personalized Model",
            category=sockets.CATEGORY,
            **sockets.found_by("lora", "subject", "history", "personalize"),
            description="A subject that was trained before.",
            inputs=[
                io.Combo.Input("personalized_model", options=choices, tooltip="What was trained here, newest first.")
            ],
            outputs=[
                sockets.PersonalizedModel.Output(display_name="PERSONALIZED_MODEL"),
                io.String.Output(
                    display_name="trigger",
                    tooltip="'[V] class', for prompts; of a learned word 'embedding:' and its name.",
                ),
            ],
        )

    @classmethod
    @recording_failures
    def execute(cls, personalized_model: str) -> io.NodeOutput:
        """The result of this name."""
        for _, found in results(store()):
            if relative(found.file, store()) == personalized_model:
                return io.NodeOutput(found, found.trigger)
        raise ValueError(f"{personalized_model!r} is no longer there; press R to refresh the list.")
