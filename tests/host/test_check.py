"""CheckThisMachine in the real host: the report of its own Python, with the host's torch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI


@pytest.mark.slow
def test_the_node_reports_what_this_machine_trains(comfyui: ComfyUI) -> None:
    prompt: dict[str, Any] = {
        "check": {"class_type": "CheckThisMachine", "inputs": {"models": "small"}},
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["check", 1]}},
    }
    outputs = comfyui.run(prompt)
    report = json.loads(outputs["show"]["text"][0])
    assert not report["failed"] and report["small"], report
    assert report["verdict"].startswith("This machine trains.")
    assert {one["status"] for one in report["run"]} == {"works"}
    shown = outputs["check"]["dreambooth_report"][0]
    assert shown.startswith(report["verdict"])
