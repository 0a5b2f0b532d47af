"""Chinese and Japanese say all that the nodes say in English, and nothing that no node has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.host_process import PACK_FOLDER
from dreambooth_nodes.demo.workflow import inputs_of

LANGUAGES = ("zh", "ja")
# vue-i18n, which shows these texts, reads them as placeholders, links and plurals.
SYNTAX = set("{}@|")
Texts = dict[tuple[str, ...], str]


def read(language: str, file: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "locales" / language / file).read_text(encoding="utf-8")))


def texts(entry: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from texts(value, *path, key)
        else:
            yield (*path, key), value


def wanted(node_id: str, info: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Where the frontend looks for the texts of a node."""
    yield from ((node_id, "display_name"), (node_id, "description"))
    for name, _, _ in inputs_of(info):
        yield from ((node_id, "inputs", name, "name"), (node_id, "inputs", name, "tooltip"))
    for number in range(len(info["output"])):
        yield from ((node_id, "outputs", str(number), "name"), (node_id, "outputs", str(number), "tooltip"))


@pytest.fixture(scope="module")
def ours(comfyui: ComfyUI) -> dict[str, Any]:
    module = f"custom_nodes.{PACK_FOLDER}"
    return {name: info for name, info in comfyui.object_info().items() if info["python_module"] == module}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_a_node_is_translated_and_none_is_left_over(ours: dict[str, Any], language: str) -> None:
    found = {path for path, _ in texts(read(language, "nodeDefs.json"))}
    assert found == {path for node_id, info in ours.items() for path in wanted(node_id, info)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_in_the_language_and_shown_as_written(language: str) -> None:
    for path, text in texts(read(language, "nodeDefs.json")):
        assert text and not SYNTAX & set(text), (path, text)
        assert path[-1] == "name" or not text.isascii(), (path, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_packs_own_sockets_are_translated(comfyui: ComfyUI, ours: dict[str, Any], language: str) -> None:
    core = {kind for name, info in comfyui.object_info().items() if name not in ours for kind in info["output"]}
    own = {kind for info in ours.values() for kind in info["output"]} - core
    assert set(read(language, "main.json")["dataTypes"]) == own


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_server_hands_the_translations_to_the_page(comfyui: ComfyUI, language: str) -> None:
    served = json.loads(comfyui.request("/i18n"))[language]
    assert served["nodeDefs"] == read(language, "nodeDefs.json")
    assert served["dataTypes"] == read(language, "main.json")["dataTypes"]


@pytest.mark.parametrize("language", ("en", *LANGUAGES))
def test_help_pages_name_every_input_and_output(comfyui: ComfyUI, ours: dict[str, Any], language: str) -> None:
    labels = {} if language == "en" else read(language, "nodeDefs.json")
    for node_id, info in ours.items():
        place = f"{node_id}.md" if language == "en" else f"{node_id}/{language}.md"
        page = comfyui.request(f"/extensions/{PACK_FOLDER}/docs/{place}").decode()
        for name, _, _ in inputs_of(info):
            assert f"`{name}`" in page, (place, name)
            assert not labels or labels[node_id]["inputs"][name]["name"] in page, (place, name)
        for name in info["output_name"]:
            assert f"**{name}**" in page, (place, name)
        assert not labels or page.startswith(f"# {labels[node_id]['display_name']}\n"), place
