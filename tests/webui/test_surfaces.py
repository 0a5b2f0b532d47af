"""The tab under what each real WebUI offers, as it was recorded there, and under less."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dreambooth_nodes.a1111.host.models import refresh_lists
from dreambooth_nodes.a1111.host.offered import SURFACE
from dreambooth_nodes.tests.webui.conftest import GRADIO
from dreambooth_nodes.tests.webui.environment import ROOT, packages
from dreambooth_nodes.tests.webui.stand_in import KINDS

HERE = Path(__file__).parent
LESS = [where for where, without in SURFACE.items() if without]
BUILT = """
import json, sys, types
from pathlib import Path
sys.path[:] = [entry for entry in sys.path if entry not in ("", {root!r})]
sys.path[:0] = [{gradio!r}, {here!r}]
import stand_in, stand_in_server
webui = stand_in.WebUI(Path({data!r}), {kind!r}, None)
for where in {less!r}:
    module, _, names = where.partition(":")
    thing = sys.modules.get(module)
    *above, last = names.split(".")
    for name in above:
        thing = getattr(thing, name)
    if hasattr(thing, last):
        delattr(thing, last)
stand_in_server.load_scripts(Path({root!r}))
((blocks, title, name),) = [tab for build in webui.tabs for tab in build()]
ours = next(name for name in sys.modules if name.endswith("a1111.host.models")).rpartition(".host")[0]
models, jobs = sys.modules[ours + ".host.models"], sys.modules[ours + ".host.jobs"]
memory, offered = sys.modules[ours + ".host.memory"], sys.modules[ours + ".host.offered"]
with jobs.queued("task(x)"), memory.model_memory():
    jobs.show("training", 1, 2)
    pressed = jobs.interrupt()
models.refresh_lists()
ids = [block.elem_id for block in blocks.blocks.values() if getattr(block, "elem_id", None)]
shown = [block.value for block in blocks.blocks.values() if getattr(block, "elem_id", "") == "dreambooth_lacking"]
store = models.store()
print(json.dumps([ids, offered.lacking(), shown, str(store.loras), str(store.checkpoints), "torch" in sys.modules]))
"""


def built(kind: str, data: Path, less: list[str]) -> list[Any]:
    code = BUILT.format(
        root=str(ROOT), here=str(HERE), data=str(data), kind=kind, less=less, gradio=str(packages(GRADIO[kind]))
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=data, check=False)
    assert done.returncode == 0, done.stderr
    said: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_the_tab_is_whole_in_every_webui(kind: str, tmp_path: Path) -> None:
    ids, lacks, shown, loras, checkpoints, torch = built(kind, tmp_path, [])
    assert "dreambooth_train" in ids and "dreambooth_failed" not in ids
    assert lacks == shown == []
    assert [loras, checkpoints] == [str(tmp_path / "models" / name) for name in ("Lora", "Stable-diffusion")]
    assert not torch, "the WebUI's own torch may lack what ours has"


@pytest.mark.parametrize("kind", ["a1111", "neo"])
def test_what_a_webui_lacks_is_said_in_the_tab_and_the_rest_works(kind: str, tmp_path: Path) -> None:
    ids, lacks, (shown,), loras, checkpoints, _ = built(kind, tmp_path, LESS)
    assert "dreambooth_train" in ids and "dreambooth_failed" not in ids
    assert lacks == [SURFACE[where] for where in LESS]
    assert shown.count("<p>") == len(LESS)
    assert [loras, checkpoints] == [str(tmp_path / "models" / name) for name in ("Lora", "Stable-diffusion")]


def test_a_list_that_a_webui_fails_at_is_a_sentence_and_the_others_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Automatic1111 fails at learned words where no model could be loaded."""
    listed = []

    def fail() -> None:
        raise AttributeError("'NoneType' object has no attribute 'cond_stage_model'")

    words = SimpleNamespace(load_textual_inversion_embeddings=lambda force_reload: listed.append("words"))
    for name, contents in {
        "modules.shared": {"refresh_checkpoints": fail},
        "networks": {"list_available_networks": lambda: listed.append("loras")},
        "modules.sd_hijack": {"model_hijack": SimpleNamespace(embedding_db=words)},
        "modules.sd_models": {"model_data": SimpleNamespace(sd_model=None)},
    }.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    assert ["cond_stage_model" in sentence for sentence in refresh_lists()] == [True]
    assert listed == ["loras"], "learned words are listed with the next model"
    sys.modules["modules.sd_models"].model_data.sd_model = object()
    refresh_lists()
    assert listed == ["loras", "loras", "words"]


def test_all_that_is_asked_of_a_webui_is_in_the_list() -> None:
    files = [file for file in (ROOT / "a1111" / "host").glob("*.py") if file.name != "offered.py"]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    assert set(re.findall(r'"([\w.]+:[\w.]+)"', code)) == set(SURFACE)


def test_every_webui_that_readme_names_is_recorded() -> None:
    assert set(KINDS) == set(GRADIO)
