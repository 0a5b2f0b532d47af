"""Turns a workflow as the frontend saves it into the prompt that the server runs.

The file in example_workflows/ is what a user opens; converting that very file is what makes the demo and the tests
speak for it. The frontend stores a node's widget values as a bare list, in the order of the node's inputs, so the
server's own /object_info is needed to name them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Prompt = dict[str, dict[str, Any]]
NodeInfo = dict[str, Any]

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
# Drawn by the frontend alone; the server knows nothing of them.
NOTES = {"Note", "MarkdownNote"}
ALWAYS, NEVER = 0, 2
SUBGRAPH_INPUTS = -10
"""What links inside a subgraph name as their origin where they come from outside."""


class WorkflowError(ValueError):
    """The workflow does not fit the nodes that the server has."""


def inputs_of(info: NodeInfo) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, type and options of every input, in the order in which the frontend makes its widgets."""
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            # An old-style combo is its list of choices.
            kind = spec[0] if isinstance(spec[0], str) else "COMBO"
            yield name, kind, spec[1] if len(spec) > 1 else {}


def widgets_of(info: NodeInfo) -> Iterator[str | None]:
    """The input that each widget value belongs to; None for "control after generate", which is the frontend's."""
    for name, kind, options in inputs_of(info):
        if kind not in WIDGET_TYPES or options.get("forceInput"):
            continue
        yield name
        seedlike = kind == "INT" and name in ("seed", "noise_seed")
        if options.get("control_after_generate", seedlike):
            yield None


def named_values(node: dict[str, Any], info: NodeInfo) -> dict[str, Any]:
    """The widget values of a node by input. Raises WorkflowError where their number is not the widgets'."""
    names, values = list(widgets_of(info)), node.get("widgets_values") or []
    if not names:
        # What the frontend shows by itself, such as the text of a preview, the server has no input for.
        return {}
    if len(names) != len(values):
        raise WorkflowError(f"{node['type']} has {len(names)} widgets {names}, the file {values}")
    return {name: value for name, value in zip(names, values, strict=True) if name is not None}


@dataclass(frozen=True)
class Level:
    """A graph, or one use of a subgraph: its nodes, where each link comes from, and the node and level around it."""

    nodes: list[dict[str, Any]]
    sources: dict[int, tuple[int, int]]
    definitions: dict[str, dict[str, Any]]
    prefix: str = ""
    outer: tuple[Level, dict[str, Any]] | None = None

    def inside(self, node: dict[str, Any]) -> Level | None:
        """The level inside a node; None where it is no subgraph."""
        found = self.definitions.get(node["type"])
        if found is None:
            return None
        sources = {link["id"]: (link["origin_id"], link["origin_slot"]) for link in found["links"]}
        return Level(found["nodes"], sources, self.definitions, f"{self.prefix}{node['id']}:", (self, node))

    def origin(self, link: int) -> list[Any] | None:
        """The number of the node that a link comes from, as the server has it, and its output; None where it comes
        from a subgraph's input to which nothing is connected.
        """
        number, slot = self.sources[link]
        if number == SUBGRAPH_INPUTS:
            level, node = self.outer  # type: ignore[misc]
            outside = node["inputs"][slot]["link"]
            return None if outside is None else level.origin(outside)
        node = next(node for node in self.nodes if node["id"] == number)
        inside = self.inside(node)
        if inside is None:
            return [f"{self.prefix}{number}", slot]
        return inside.origin(self.definitions[node["type"]]["outputs"][slot]["linkIds"][0])


def to_prompt(workflow: dict[str, Any], object_info: dict[str, NodeInfo]) -> Prompt:
    """The API prompt of a UI workflow (format 0.4), its subgraphs taken apart: node 5 of subgraph 12 is "12:5".

    Raises WorkflowError for a node that the server lacks.
    """
    sources = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    definitions = {found["id"]: found for found in workflow.get("definitions", {}).get("subgraphs", [])}
    return dict(_prompt_nodes(Level(workflow["nodes"], sources, definitions), object_info))


def _prompt_nodes(level: Level, object_info: dict[str, NodeInfo]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The number and the prompt's entry of every node of a level and of those inside it."""
    for node in level.nodes:
        kind, mode = node["type"], node.get("mode", ALWAYS)
        if kind in NOTES or mode == NEVER:
            continue
        if mode != ALWAYS:
            raise WorkflowError(f"node {node['id']} ({kind}) is bypassed: not supported here")
        if (inside := level.inside(node)) is not None:
            yield from _prompt_nodes(inside, object_info)
        elif kind in object_info:
            yield f"{level.prefix}{node['id']}", _entry(level, node, object_info[kind])
        else:
            raise WorkflowError(f"the server has no node {kind!r}: did the pack load? See its log")


def _entry(level: Level, node: dict[str, Any], info: NodeInfo) -> dict[str, Any]:
    inputs = named_values(node, info)
    for socket in node.get("inputs", []):
        # A subgraph's own input leaves the node's value where nothing is connected to it.
        if socket.get("link") is not None and (origin := level.origin(socket["link"])) is not None:
            inputs[socket["name"]] = origin
    title = node.get("title") or info["display_name"]
    return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}


def load_prompt(file: Path, object_info: dict[str, NodeInfo]) -> Prompt:
    """Read a workflow file and convert it."""
    return to_prompt(json.loads(file.read_text(encoding="utf-8")), object_info)


def find(prompt: Prompt, name: str) -> str:
    """The number of the one node whose class or title is `name`. Raises WorkflowError for none or several."""
    found = [number for number, node in prompt.items() if name in (node["class_type"], node["_meta"]["title"])]
    if len(found) != 1:
        raise WorkflowError(f"{len(found)} nodes are called {name!r}")
    return found[0]


def change(prompt: Prompt, name: str, /, **inputs: Any) -> Prompt:
    """The prompt with other inputs for the one node called `name`; the given prompt stays as it is."""
    number = find(prompt, name)
    node = prompt[number]
    unknown = set(inputs) - set(node["inputs"])
    if unknown:
        raise WorkflowError(f"{name} has no inputs {sorted(unknown)}, only {sorted(node['inputs'])}")
    return {**prompt, number: {**node, "inputs": {**node["inputs"], **inputs}}}
