"""Bad input comes back as the node's error, names the value, and leaves no file."""

from __future__ import annotations

from typing import Any

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.demo.workflow import change
from dreambooth_nodes.tests.host.graphs import training

CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "empty folder": (example.PHOTOS, {"folder": "empty"}, ("empty",)),
    "no image": (example.PHOTOS, {"folder": "texts"}, ("text.png",)),
    "no class noun": (example.PHOTOS, {"class_noun": " "}, ("class noun",)),
    "separator in the name": (example.TRAIN, {"name": "../dog"}, ("../dog",)),
    "line break in the name": (example.TRAIN, {"name": "my\ndog"}, (r"my\ndog",)),
    "long name": (example.TRAIN, {"name": "d" * 300}, ("300",)),
    "reserved name": (example.TRAIN, {"name": "CON"}, ("CON",)),
    "too few steps": (example.TRAIN, {"steps": -1}, ("steps", "-1")),
    "no identifier": (example.TRAIN, {"identifier": " "}, ("identifier",)),
    "priors of another class": (example.PRIORS, {"class_noun": "cat"}, ("cat", "car")),
    "priors of another size": (example.PRIORS, {"width": 96}, ("96", "64")),
}


@pytest.fixture(scope="module", autouse=True)
def folders(comfyui: ComfyUI) -> None:
    """An empty folder, and one whose only picture is a text."""
    for name in ("empty", "texts"):
        (comfyui.base_directory / "input" / name).mkdir()
    (comfyui.base_directory / "input" / "texts" / "text.png").write_text("no picture")


def saved_files(comfyui: ComfyUI) -> set[str]:
    return {str(file) for file in comfyui.output_directory.rglob("*.safetensors")}


def test_without_room_for_the_embedded_base_the_error_names_the_file_and_the_way_out(comfyui: ComfyUI) -> None:
    file = comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME
    aside = file.rename(file.with_suffix(".aside"))
    # A folder in the file's place: root may write into any other.
    file.mkdir()
    comfyui.free()
    try:
        with pytest.raises(NodeError, match=rf"could not be written to .*{example.BASE_NAME}.*Make room"):
            comfyui.run(training(comfyui, seed=98))
        assert [entry.name for entry in file.parent.iterdir() if entry.name.startswith(".")] == []
    finally:
        file.rmdir()
        aside.rename(file)
        comfyui.free()


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_the_value_and_nothing_is_saved(comfyui: ComfyUI, case: str) -> None:
    name, inputs, words = CASES[case]
    before = saved_files(comfyui)
    # A seed of its own: a finished run would be found before its settings are looked at.
    prompt = change(training(comfyui, seed=99), name, **inputs)
    with pytest.raises(NodeError) as caught:
        comfyui.run(prompt)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert saved_files(comfyui) == before
