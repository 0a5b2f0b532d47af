"""What the panels say in other languages: all of it, with the same values in it, and nothing that no panel says."""

from __future__ import annotations

import ast
import json
import re

import pytest

from dreambooth_nodes.demo.environment import ROOT

WEB = ROOT / "web"
LANGUAGES = ("zh", "ja")
SERVER = ("trainer", "nodes")
# The table is JSON but for its last comma, so that a test without JavaScript can read it.
TABLE = re.compile(r"export default (\{.*?),\n\};\n$", re.DOTALL)


def table(language: str) -> dict[str, str]:
    found = TABLE.search((WEB / "words" / f"{language}.js").read_text(encoding="utf-8"))
    assert found is not None
    return dict(json.loads(found[1] + "}"))


def said() -> set[str]:
    """Every text that a panel asks for, and every sentence that the server hands it."""
    scripts = [file.read_text(encoding="utf-8") for file in WEB.rglob("*.js")]
    own = {text for script in scripts for text in re.findall(r'\bt\(\s*"([^"]+)"', script)}
    modules = [
        ast.parse(file.read_text(encoding="utf-8")) for folder in SERVER for file in (ROOT / folder).rglob("*.py")
    ]
    calls = [call for module in modules for call in ast.walk(module) if isinstance(call, ast.Call)]
    return own | {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "Wording"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_left_over(language: str) -> None:
    assert set(table(language)) == said()


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_show_the_same_values(language: str) -> None:
    for text, translated in table(language).items():
        assert sorted(re.findall(r"\{\d\}", text)) == sorted(re.findall(r"\{\d\}", translated)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_is_in_use(language: str) -> None:
    assert f'from "./words/{language}.js"' in (WEB / "words.js").read_text(encoding="utf-8")
