"""The files in example_workflows/ as they are: whole, tidy, and each with its picture."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dreambooth_nodes.demo.example import WORKFLOWS, workflow_files

FILES = workflow_files()
TITLE_HEIGHT = 30
PICTURE_BYTES = 200_000
Box = tuple[float, float, float, float]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def workflow(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def box(node: dict[str, Any]) -> Box:
    """Left, top, right, bottom, with the title."""
    (left, top), (width, height) = node["pos"], node["size"]
    return left, top - TITLE_HEIGHT, left + width, top + height


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def inside(node: Box, group: dict[str, Any]) -> bool:
    left, top, width, height = group["bounding"]
    return left <= node[0] and top <= node[1] and node[2] <= left + width and node[3] <= top + height


def test_there_is_one_for_each_use() -> None:
    names = {file.stem for file in FILES}
    assert names == {
        "quick_start",
        "portrait",
        "style",
        "full_checkpoint",
        "with_and_without_priors",
        "two_subjects",
    }
    assert {file.stem for file in WORKFLOWS.glob("*.jpg")} == names
    assert len({json.loads(file.read_text(encoding="utf-8"))["id"] for file in FILES}) == len(names)


def test_the_picture_is_small(file: Path) -> None:
    picture = file.with_suffix(".jpg")
    assert picture.stat().st_size < PICTURE_BYTES
    with Image.open(picture) as opened:
        assert (opened.format, opened.mode, opened.width) == ("JPEG", "RGB", 1016)


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


def test_nodes_lie_apart_and_each_in_a_group(workflow: dict[str, Any]) -> None:
    for one, other in combinations(workflow["nodes"], 2):
        assert not overlap(box(one), box(other)), (one["id"], other["id"])
    for node in workflow["nodes"]:
        if node["type"] != "MarkdownNote":
            assert any(inside(box(node), group) for group in workflow["groups"]), node["id"]


def test_it_reads_from_left_to_right(workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for _, source, _, target, _, _ in workflow["links"]:
        assert nodes[source]["pos"][0] <= nodes[target]["pos"][0], (source, target)


def test_a_note_comes_first_and_says_how_to_get_the_base(workflow: dict[str, Any]) -> None:
    first = workflow["nodes"][0]
    assert (first["type"], first["title"], first["pos"]) == ("MarkdownNote", "Read me", [0, 0])
    (text,) = first["widgets_values"]
    assert "toybase models/checkpoints/dreambooth-nodes-toybase.safetensors" in text and "*Load Checkpoint*" in text
