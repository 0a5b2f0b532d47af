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
import json, os, sys, types
from pathlib import Path
sys.path[:] = [entry for entry in sys.path if entry not in ("", {root!r})]
sys.path[:0] = [{gradio!r}, {here!r}]
import gradio, stand_in, stand_in_server

def told(kind, data, less):
    webui = stand_in.WebUI(Path(data), kind, None)
    for where in less:
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
    return [ids, offered.lacking(), shown, str(store.loras), str(store.checkpoints), "torch" in sys.modules]

# Gradio is imported once; a WebUI that is built is a process of its own.
for kind, data, less, answer in json.loads({asked!r}):
    if not (child := os.fork()):
        Path(answer).write_text(json.dumps(told(kind, data, less)))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, kind
"""
WHOLE, LACKING = "whole", "lacking"
Built = dict[tuple[str, str], tuple[Path, list[Any]]]
"""{(WebUI, WHOLE or LACKING): (its folder, what is read off its tab)}."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Every WebUI, with all that it offers and without what may be missing."""
    folders: Built = {}
    for gradio in set(GRADIO.values()):
        asked = []
        for kind in (kind for kind in KINDS if GRADIO[kind] == gradio):
            for name, less in ((WHOLE, []), (LACKING, LESS)):
                data = tmp_path_factory.mktemp(kind)
                folders[kind, name] = data, []
                asked.append([kind, str(data), less, str(data / "answer.json")])
        code = BUILT.format(root=str(ROOT), here=str(HERE), gradio=str(packages(gradio)), asked=json.dumps(asked))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=data, check=False)
        assert done.returncode == 0, done.stderr
    return {key: (data, json.loads((data / "answer.json").read_text())) for key, (data, _) in folders.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tab_is_whole_in_every_webui(kind: str, built: Built) -> None:
    data, (ids, lacks, shown, loras, checkpoints, torch) = built[kind, WHOLE]
    assert "dreambooth_train" in ids and "dreambooth_failed" not in ids
    assert lacks == shown == []
    assert [loras, checkpoints] == [str(data / "models" / name) for name in ("Lora", "Stable-diffusion")]
    assert not torch, "the WebUI's own torch may lack what ours has"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_webui_lacks_is_said_in_the_tab_and_the_rest_works(kind: str, built: Built) -> None:
    data, (ids, lacks, (shown,), loras, checkpoints, _) = built[kind, LACKING]
    assert "dreambooth_train" in ids and "dreambooth_failed" not in ids
    assert lacks == [SURFACE[where] for where in LESS]
    assert shown.count("<p>") == len(LESS)
    assert [loras, checkpoints] == [str(data / "models" / name) for name in ("Lora", "Stable-diffusion")]


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
