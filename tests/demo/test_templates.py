"""The files in example_workflows/ and subgraphs/ as they are: whole, tidy, and each template with its picture."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.example import WORKFLOW, WORKFLOWS, toybase_workflow_files, workflow_files

FILES, DRAWN = workflow_files(), toybase_workflow_files()
"""All, and those of the embedded base, of which there are pictures."""
SUBGRAPHS = sorted((ROOT / "subgraphs").glob("*.json"))
TITLE_HEIGHT = 30
PICTURE_BYTES = 200_000
PICTURE = (960, 640)
MOST_IN_SIGHT = 12
SEEN = (1600 - 60, 1000 - 90)
"""Pixels of a page of 1600 x 1000 between its side bar and its menus."""
DEPRECATED = {"ImageBatch", "ImageCrop", "LatentBatch"}
"""Nodes that ComfyUI 0.33 shows as deprecated, or says so of in its log."""
Box = tuple[float, float, float, float]
INPUTS, OUTPUTS = -10, -20


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def workflow(file: Path) -> dict[str, Any]:
    return read(file)


def read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def box(node: dict[str, Any]) -> Box:
    """Left, top, right, bottom, with the title."""
    (left, top), (width, height) = node["pos"], node["size"]
    return left, top - TITLE_HEIGHT, left + width, top + height


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def all_nodes(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [*workflow["nodes"], *(node for sub in workflow["definitions"]["subgraphs"] for node in sub["nodes"])]


def test_there_is_one_for_each_use_and_the_quick_start_comes_first() -> None:
    names = [file.stem for file in FILES]
    assert names == [
        "1 Quick start",
        "2 Portrait",
        "3 Style",
        "4 Full checkpoint",
        "5 With and without class images",
        "6 Two subjects",
        "7 Z-Image",
        "8 FLUX.2 Klein 4B",
    ]
    assert FILES[0] == WORKFLOW
    pictures = {file.stem for file in WORKFLOWS.glob("*.jpg")}
    assert {file.stem for file in DRAWN} <= pictures <= set(names)
    assert len({read(file)["id"] for file in FILES}) == len(names)


@pytest.mark.parametrize("file", DRAWN, ids=lambda file: file.stem)
def test_the_pictures_are_small_and_alike(file: Path) -> None:
    picture = file.with_suffix(".jpg")
    assert picture.stat().st_size < PICTURE_BYTES
    with Image.open(picture) as opened:
        assert (opened.format, opened.mode, opened.size) == ("JPEG", "RGB", PICTURE)


def test_links_join_what_they_say(workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    assert len(nodes) == len(workflow["nodes"]) and len(links) == len(workflow["links"])
    for number, source, slot, target, entry, kind in links.values():
        given, taken = nodes[source]["outputs"][slot], nodes[target]["inputs"][entry]
        assert number in given["links"] and taken["link"] == number
        assert given["type"] == kind and taken["type"] in (kind, "*")
    held = [number for node in nodes.values() for output in node["outputs"] for number in output["links"] or []]
    taken_links = [entry["link"] for node in nodes.values() for entry in node["inputs"] if entry["link"] is not None]
    assert sorted(held) == sorted(taken_links) == sorted(links)


@pytest.mark.parametrize("of", [*FILES, *SUBGRAPHS], ids=lambda file: file.stem)
def test_a_subgraphs_links_join_what_they_say(of: Path) -> None:
    for sub in read(of)["definitions"]["subgraphs"]:
        nodes = {node["id"]: node for node in sub["nodes"]}
        for link in sub["links"]:
            if link["origin_id"] == INPUTS:
                assert link["id"] in sub["inputs"][link["origin_slot"]]["linkIds"]
                assert sub["inputs"][link["origin_slot"]]["type"] == link["type"]
            else:
                assert link["id"] in nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"]
            if link["target_id"] == OUTPUTS:
                assert sub["outputs"][link["target_slot"]]["linkIds"] == [link["id"]]
            else:
                assert nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] == link["id"]
        ids = [number for entry in (*sub["inputs"], *sub["outputs"]) for number in entry["linkIds"]]
        assert set(ids) <= {link["id"] for link in sub["links"]}


def test_nodes_lie_apart(workflow: dict[str, Any]) -> None:
    for nodes in (workflow["nodes"], *(sub["nodes"] for sub in workflow["definitions"]["subgraphs"])):
        for one, other in combinations(nodes, 2):
            assert not overlap(box(one), box(other)), (one["id"], other["id"])


def test_at_most_a_dozen_nodes_are_in_sight_and_none_is_deprecated(workflow: dict[str, Any]) -> None:
    assert len(workflow["nodes"]) <= MOST_IN_SIGHT
    assert not {node["type"] for node in all_nodes(workflow)} & DEPRECATED


def test_the_quick_start_fits_the_page_at_seven_tenths() -> None:
    boxes = [box(node) for node in read(WORKFLOW)["nodes"]]
    width = max(right for _, _, right, _ in boxes) - min(left for left, *_ in boxes)
    height = max(bottom for *_, bottom in boxes) - min(top for _, top, _, _ in boxes)
    assert min(SEEN[0] / width, SEEN[1] / height) >= 0.7, (width, height)


def test_no_subgraph_repeats_the_pictures_that_are_shown_beside_it(workflow: dict[str, Any]) -> None:
    # The newest frontend shows all pictures of a subgraph on its node, which grows by them, unless this is said.
    subgraphs = {sub["id"] for sub in workflow["definitions"]["subgraphs"]}
    assert all(node["properties"]["previewExposures"] == [] for node in workflow["nodes"] if node["type"] in subgraphs)


def test_it_reads_from_left_to_right(workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for _, source, _, target, _, _ in workflow["links"]:
        assert nodes[source]["pos"][0] < nodes[target]["pos"][0] + nodes[target]["size"][0], (source, target)


def test_a_note_comes_first_and_says_to_drop_photos_first(workflow: dict[str, Any], file: Path) -> None:
    first = workflow["nodes"][0]
    assert (first["type"], first["title"], first["pos"]) == ("MarkdownNote", "Read me first", [0, 0])
    (text,) = first["widgets_values"]
    steps = text[text.index("### With") :]
    assert steps.index("Drop") < steps.index("*Base model*")
    assert file not in DRAWN or steps.index("*Base model*") < steps.index("SD 1.5")
    assert "python" not in text


def test_the_quick_start_is_an_app_of_photos_class_noun_and_prompt() -> None:
    workflow = read(WORKFLOW)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    app = workflow["extra"]["linearData"]
    assert [(nodes[number]["title"], name) for number, name, *_ in app["inputs"]] == [
        ("1 · Photos", "dreambooth_photos"),
        ("1 · Photos", "class_noun"),
        ("5 · Draw and compare", "prompt"),
    ]
    assert {nodes[number]["type"] for number in app["outputs"]} == {"PreviewImage"}


@pytest.mark.parametrize("file", [file for file in FILES if file not in DRAWN], ids=lambda file: file.stem)
def test_a_model_s_own_template_says_where_its_files_are_from(workflow: dict[str, Any]) -> None:
    """As ComfyUI's own templates do, so that it names those that are missing."""
    named = {
        node["type"]: node["properties"]["models"][0] for node in all_nodes(workflow) if "models" in node["properties"]
    }
    assert set(named) == {"UNETLoader", "CLIPLoader", "VAELoader"}
    for node in all_nodes(workflow):
        if node["type"] in named:
            model = named[node["type"]]
            assert node["widgets_values"][0] == model["name"] and model["url"].endswith(model["name"])
    (note,) = workflow["nodes"][0]["widgets_values"]
    assert "No full-size model of this kind was trained by us yet" in note
