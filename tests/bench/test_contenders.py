"""All sides are told to do the same work."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dreambooth_nodes.bench.diffusers_scripts import SCRIPTS, ScriptsMissing
from dreambooth_nodes.bench.quality.rivals.train_lora_graph import require_possible
from dreambooth_nodes.bench.speed.contenders import (
    KOHYA,
    NODE,
    OURS_KOHYA,
    OURS_PADDED,
    THEIRS_CACHED,
    Contender,
    contenders,
)
from dreambooth_nodes.bench.speed.kohya import KOHYA_SCRIPT
from dreambooth_nodes.bench.speed.materials import Materials, Task, heard, read_materials
from dreambooth_nodes.bench.speed.train_lora_node import work_of

LORA, FULL = Task(method="lora", steps=37), Task(method="full", steps=37)


@pytest.fixture
def materials(tmp_path: Path) -> Materials:
    return Materials(tmp_path, 64, "cpu", "fp32", 5, 12, {"threads": 2})


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for name in (*SCRIPTS.values(), KOHYA_SCRIPT):
        (tmp_path / name).touch()
    return tmp_path


def options(words: list[str]) -> dict[str, str]:
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


def all_sides(scripts: Path) -> dict[str, Contender]:
    return {side.name: side for side in contenders(scripts, True, True, scripts)}


def test_materials_and_tasks_are_read_as_they_were_written(materials: Materials) -> None:
    materials.write()
    assert read_materials(materials.folder) == materials
    task = Task(method="lora", steps=3, photos=9, options={"checkpointing": True}, memory_limit=2**33)
    assert heard(task.said()) == task


@pytest.mark.parametrize("task", [LORA, FULL], ids=["lora", "full"])
def test_steps_rate_and_precision_of_the_scripts_are_those_of_ours(
    materials: Materials, scripts: Path, task: Task
) -> None:
    _, theirs = contenders(scripts, False, False, None)
    said = options(theirs.command(materials, task, scripts / "out"))
    assert (said["--max_train_steps"], said["--train_batch_size"]) == ("37", "1")
    assert float(said["--learning_rate"]) == (1e-4 if task.method == "lora" else 5e-6)
    assert said["--mixed_precision"] == "no"
    assert int(said["--checkpointing_steps"]) > 37
    assert said.get("--rank") == (str(task.rank) if task.method == "lora" else None)


def test_only_the_second_rival_caches_its_prompts(materials: Materials, scripts: Path) -> None:
    _, plain, cached = contenders(scripts, True, False, None)
    words = {side.name: side.command(materials, LORA, scripts / "out") for side in (plain, cached)}
    assert [word for word in words[THEIRS_CACHED] if word not in words[plain.name]] == ["--pre_compute_text_embeddings"]


def test_the_node_gets_as_many_photos_as_ours_has_photos_and_class_images(materials: Materials) -> None:
    work = work_of(materials, Task(method="lora", steps=37, batch_size=2))
    assert (work.batch_size, work.class_images, work.prior_weight) == (4, None, 0)
    assert (work.steps, work.rank, work.precision, work.size) == (37, LORA.rank, "fp32", 64)
    require_possible(work)


def test_kohya_is_told_the_same_images_a_step_and_ours_trains_its_layers(materials: Materials, scripts: Path) -> None:
    sides = all_sides(scripts)
    task = Task(method="lora", steps=37, batch_size=2)
    said = options(sides[KOHYA].command(materials, task, scripts / "out"))
    assert (said["--train_batch_size"], said["--max_train_steps"], said["--network_dim"]) == ("4", "37", str(task.rank))
    assert said["--pretrained_model_name_or_path"] == str(materials.checkpoint)
    ours = sides[OURS_KOHYA].command(materials, task, scripts / "out")
    assert next(heard(word) for word in ours if word.startswith("{")).options == {"targets": "transformer"}


def test_a_rival_is_compared_with_a_side_of_ours_that_is_measured(scripts: Path) -> None:
    sides = all_sides(scripts)
    assert sides[NODE].against == OURS_PADDED
    for side in sides.values():
        assert bool(side.against) != side.name.startswith("ours")
        assert not side.against or set(side.methods) <= set(sides[side.against].methods)


def test_folders_without_the_scripts_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptsMissing, match=str(tmp_path)):
        contenders(tmp_path, False, False, None)
    with pytest.raises(ScriptsMissing, match="--kohya"):
        contenders(None, False, False, tmp_path)
