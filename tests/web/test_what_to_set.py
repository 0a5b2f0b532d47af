"""What to set for a real model is the same in README, in the note of the quick start and on the help page."""

from __future__ import annotations

import json
import re

import pytest

from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.example import WORKFLOW
from dreambooth_nodes.trainer.presets import DEFAULT, PRESETS, usual_rate

HELP = ROOT / "web" / "docs"
MODELS = ("SD 1.5", "SDXL")
ROWS = {"resolution": ("resolution",), "class images": ("count",), "training": ("rate",), "drawing": ("cfg",)}
"""{what is set: a word of its row that no other row has}."""


def table_of(text: str) -> dict[str, dict[str, str]]:
    """{model: {what is set: numbers}} of the one table that has the models for columns."""
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line]
    start = next(n for n, line in enumerate(lines) if set(MODELS) <= set(line))
    head = ["", *(cell for cell in lines[start] if cell)]
    found: dict[str, dict[str, str]] = {model: {} for model in MODELS}
    for line in lines[start + 2 : start + 2 + len(ROWS)]:
        name = next(name for name, words in ROWS.items() if any(word in line[0] for word in words))
        for model in MODELS:
            found[model][name] = line[head.index(model)].replace("\N{NON-BREAKING HYPHEN}", "-")
    return found


def readme() -> dict[str, dict[str, str]]:
    return table_of((ROOT / "README.md").read_text(encoding="utf-8"))


def test_readme_and_the_note_of_the_quick_start_say_the_same() -> None:
    nodes = json.loads(WORKFLOW.read_text(encoding="utf-8"))["nodes"]
    (note,) = (node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")
    assert table_of(note) == readme()


def test_they_say_what_the_preset_does() -> None:
    steps, rate = (float(number) for number in readme()["SD 1.5"]["training"].split(","))
    images = float(readme()["SD 1.5"]["class images"].split(",")[0])
    assert (steps, rate, images) == (PRESETS[DEFAULT].steps("lora"), usual_rate("lora"), PRESETS[DEFAULT].priors)


@pytest.mark.parametrize("page", ["DreamBoothTrain.md", "DreamBoothTrain/zh.md", "DreamBoothTrain/ja.md"])
def test_the_help_page_says_it_in_its_language(page: str) -> None:
    text = (HELP / page).read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith(("**What to set", "**怎么设置", "**設定の目安")))
    said = {float(number) for number in re.findall(r"\d+(?:e-\d+)?", line.replace("1.5", ""))}
    wanted = readme()
    for model in MODELS:
        for name in ("resolution", "class images", "training"):
            assert {float(number) for number in wanted[model][name].split(",")} <= said
