"""CheckThisMachine: whether and how fast this machine trains."""

from __future__ import annotations

import json
import time

from comfy_api.latest import io

from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import progress_bar, training_memory
from .comfy_outputs import keep_shown


class CheckThisMachine(io.ComfyNode):
    """The check of the command line, in this ComfyUI: with its Python, its torch and its device."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="CheckThisMachine",
            display_name="Check This Machine",
            category=sockets.CATEGORY,
            **sockets.found_by("benchmark", "test gpu", "speed", "memory", "report a problem"),
            description="Does this machine train, and how fast? At most 5 minutes, on models of random numbers; "
            "nothing is downloaded. Its report is text to paste where you ask for help.",
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "models",
                    options=["auto", "small", "real sizes"],
                    default="auto",
                    tooltip="auto: SD 1.5, SDXL and a DiT at their real sizes on a GPU, small ones elsewhere.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report"),
                io.String.Output(display_name="json"),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, models: str) -> float:
        """Never the same: another Run is another check."""
        return time.time()

    @classmethod
    @recording_failures
    def execute(cls, models: str) -> io.NodeOutput:
        """The report, for people and as JSON; the host's models are off the device meanwhile."""
        from ..machine_check.check import PARTS, check_machine

        bar = progress_bar(PARTS)
        with training_memory() as device:
            small = {"small": True, "real sizes": False}.get(models)
            report = check_machine(device, lambda what, done, total: bar(done), small)
        ui = keep_shown({"dreambooth_report": [report.text()]}, models=models)
        return io.NodeOutput(report.text(), json.dumps(report.record(), indent=1), ui=ui)
