"""The frontend's file and the server's prompt say the same."""

from __future__ import annotations

from typing import Any

import pytest

from dreambooth_nodes.demo.workflow import WorkflowError, change, find, to_prompt

OBJECT_INFO: dict[str, Any] = {
    "Sample": {
        "display_name": "Sampler",
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "seed": ["INT", {"control_after_generate": True}],
                "method": [["euler", "heun"]],
            },
            "optional": {"strength": ["FLOAT", {"default": 1.0}], "text": ["STRING", {"forceInput": True}]},
        },
    },
    "Train": {
        "display_name": "Trainer",
        "input": {"required": {"seed": ["INT", {"control_after_generate": False}], "name": ["STRING", {}]}},
    },
    "Show": {"display_name": "Show", "input": {"required": {"source": ["*", {}]}}},
}


def node(number: int, kind: str, values: list[Any], **links: int) -> dict[str, Any]:
    inputs = [{"name": name, "link": link} for name, link in links.items()]
    return {"id": number, "type": kind, "mode": 0, "inputs": inputs, "widgets_values": values}


def workflow(*nodes: dict[str, Any], links: tuple[list[Any], ...] = ()) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": list(links), "version": 0.4}


def inputs(file: dict[str, Any], number: str) -> dict[str, Any]:
    return to_prompt(file, OBJECT_INFO)[number]["inputs"]


def test_values_go_to_the_inputs_in_order_and_control_after_generate_to_none() -> None:
    file = workflow(node(1, "Sample", [7, "fixed", "heun", 0.5]))
    assert inputs(file, "1") == {"seed": 7, "method": "heun", "strength": 0.5}


def test_a_seed_without_control_has_no_extra_value() -> None:
    assert inputs(workflow(node(1, "Train", [7, "dog"])), "1") == {"seed": 7, "name": "dog"}


def test_a_link_replaces_the_value_of_its_widget() -> None:
    file = workflow(
        node(1, "Train", [7, "dog"]),
        node(2, "Sample", [7, "fixed", "heun", 0.5], model=1, strength=2),
        links=([1, 1, 0, 2, 0, "MODEL"], [2, 1, 3, 2, 1, "FLOAT"]),
    )
    assert inputs(file, "2") == {"model": ["1", 0], "seed": 7, "method": "heun", "strength": ["1", 3]}


def test_what_the_frontend_shows_by_itself_is_no_input() -> None:
    assert inputs(workflow(node(1, "Show", ["shown text"])), "1") == {}


def test_notes_and_muted_nodes_are_left_out() -> None:
    muted = {**node(2, "Train", [7, "dog"]), "mode": 2}
    assert to_prompt(workflow(node(1, "MarkdownNote", ["text"]), muted), OBJECT_INFO) == {}


def test_a_title_of_its_own_wins_over_the_display_name() -> None:
    titled = {**node(2, "Train", [1, "a"]), "title": "Mine"}
    prompt = to_prompt(workflow(node(1, "Train", [1, "a"]), titled), OBJECT_INFO)
    assert [node["_meta"]["title"] for node in prompt.values()] == ["Trainer", "Mine"]
    assert find(prompt, "Mine") == "2"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (node(1, "Missing", []), "Missing"),
        (node(1, "Train", [7]), "2 widgets"),
        ({**node(1, "Train", [7, "dog"]), "mode": 4}, "bypassed"),
    ],
)
def test_a_file_that_does_not_fit_the_server_is_refused(bad: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        to_prompt(workflow(bad), OBJECT_INFO)


def test_change_leaves_the_given_prompt_as_it_was() -> None:
    prompt = to_prompt(workflow(node(1, "Train", [7, "dog"])), OBJECT_INFO)
    changed = change(prompt, "Train", name="cat")
    assert (changed["1"]["inputs"]["name"], prompt["1"]["inputs"]["name"]) == ("cat", "dog")


def test_find_wants_exactly_one() -> None:
    prompt = to_prompt(workflow(node(1, "Train", [1, "a"]), node(2, "Train", [1, "b"])), OBJECT_INFO)
    with pytest.raises(WorkflowError, match="2 nodes"):
        find(prompt, "Train")


def nested() -> dict[str, Any]:
    """A subgraph used twice: its input goes to a widget of the node inside, whose output is its own."""
    inner = {
        "id": "sub",
        "nodes": [node(5, "Sample", [7, "fixed", "heun", 0.5], seed=2, strength=3)],
        "inputs": [{"name": "seed", "linkIds": [2]}, {"name": "strength", "linkIds": [3]}],
        "outputs": [{"name": "out", "linkIds": [4]}],
        "links": [
            {"id": 2, "origin_id": -10, "origin_slot": 0, "target_id": 5, "target_slot": 0, "type": "INT"},
            {"id": 3, "origin_id": -10, "origin_slot": 1, "target_id": 5, "target_slot": 1, "type": "FLOAT"},
            {"id": 4, "origin_id": 5, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "LATENT"},
        ],
    }
    nodes = [node(1, "Train", [7, "dog"]), node(2, "sub", []), node(3, "sub", []), node(4, "Show", [])]
    nodes[1]["inputs"] = [{"name": "seed", "link": 1}, {"name": "strength", "link": None}]
    nodes[2]["inputs"] = [{"name": "seed", "link": None}, {"name": "strength", "link": None}]
    nodes[3]["inputs"] = [{"name": "source", "link": 6}]
    links = [[1, 1, 3, 2, 0, "INT"], [6, 2, 0, 4, 0, "LATENT"]]
    return {"nodes": nodes, "links": links, "definitions": {"subgraphs": [inner]}, "version": 0.4}


def test_a_subgraph_is_taken_apart_and_each_use_has_nodes_of_its_own() -> None:
    prompt = to_prompt(nested(), OBJECT_INFO)
    assert list(prompt) == ["1", "2:5", "3:5", "4"]
    assert prompt["2:5"]["inputs"] == {"seed": ["1", 3], "method": "heun", "strength": 0.5}
    assert prompt["3:5"]["inputs"] == {"seed": 7, "method": "heun", "strength": 0.5}
    assert prompt["4"]["inputs"] == {"source": ["2:5", 0]}
