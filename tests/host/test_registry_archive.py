"""The pack as the registry's archive holds it, in a real ComfyUI: the quick start trains, scores and draws."""

from __future__ import annotations

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.host_process import PACK_FOLDER
from dreambooth_nodes.demo.workflow import change, find
from dreambooth_nodes.tests.host.graphs import STEPS, small
from dreambooth_nodes.tests.test_registry import listed

pytestmark = pytest.mark.slow


def test_the_quick_start_runs_from_the_archive_alone() -> None:
    shipped = listed() - listed("-i", "--exclude-from=.comfyignore")
    with ComfyUI() as comfyui:
        pack = comfyui.base_directory / "custom_nodes" / PACK_FOLDER
        for file in [file for file in pack.rglob("*") if file.is_file()]:
            if file.relative_to(pack).as_posix() not in shipped:
                file.unlink()
        comfyui.restart()
        # The file of the toy base is written by the pack itself.
        outputs = comfyui.run(prompt := change(small(comfyui), example.TRAIN, score_every=STEPS))
        for name in ("Base pictures", "Personalized pictures"):
            assert len(comfyui.images(outputs, find(prompt, name))) == 1
        assert [scored["step"] for scored in example.newest_run(comfyui)["scores"]] == [STEPS]
