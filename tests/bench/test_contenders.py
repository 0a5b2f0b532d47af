"""Both sides are told to do the same work."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dreambooth_nodes.bench.contenders import SCRIPTS, THEIRS_CACHED, ScriptsMissing, contenders, our_command
from dreambooth_nodes.bench.materials import Materials, read_materials


@pytest.fixture
def materials(tmp_path: Path) -> Materials:
    return Materials(tmp_path, 64, "cpu", "fp32", 12, {"threads": 2})


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for name in SCRIPTS.values():
        (tmp_path / name).touch()
    return tmp_path


def options(words: list[str]) -> dict[str, str]:
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


def test_materials_are_read_as_they_were_written(materials: Materials) -> None:
    materials.write()
    assert read_materials(materials.folder) == materials


@pytest.mark.parametrize("method", SCRIPTS)
def test_steps_rate_and_precision_are_those_of_ours(materials: Materials, scripts: Path, method: str) -> None:
    _, theirs = contenders(scripts, prompts_cached_too=False)
    said = options(theirs.command(materials, method, 37, scripts / "out"))
    ours = our_command(materials, method, 37, scripts / "out")
    assert {said["--max_train_steps"], said["--learning_rate"], said["--output_dir"]} <= set(ours)
    assert said["--mixed_precision"] == "no"
    assert int(said["--checkpointing_steps"]) > 37
    assert said.get("--rank") == ("4" if method == "lora" else None)


def test_only_the_second_rival_caches_its_prompts(materials: Materials, scripts: Path) -> None:
    _, plain, cached = contenders(scripts, prompts_cached_too=True)
    words = {side.name: side.command(materials, "lora", 20, scripts / "out") for side in (plain, cached)}
    assert [word for word in words[THEIRS_CACHED] if word not in words[plain.name]] == ["--pre_compute_text_embeddings"]


def test_a_folder_without_the_scripts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptsMissing, match=str(tmp_path)):
        contenders(tmp_path, prompts_cached_too=False)
