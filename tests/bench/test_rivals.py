"""Other trainers are told the work as it is, and looked at after the steps that were asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.bench.diffusers_scripts import SCRIPTS, ScriptsMissing
from dreambooth_nodes.bench.quality.contender import Contender, Trained, Work
from dreambooth_nodes.bench.quality.rivals.diffusers_scripts import command, diffusers_scripts
from dreambooth_nodes.bench.quality.rivals.train_lora_graph import GraphError, graph, require_possible
from dreambooth_nodes.bench.quality.rivals.train_lora_node import train_lora_node
from dreambooth_nodes.demo.example import SUBJECTS, cached_toybase
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.toybase.diffusers_folder import write_diffusers_folder
from dreambooth_nodes.trainer.files.pictures import write_picture
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.subject.photos import read_folder

SIDE = 64
LOOKS = (6, 12)
RANK = 3


@pytest.fixture(scope="module")
def diffusers_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "diffusers") as folder:
        yield write_diffusers_folder(folder / "base")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """The paths need not be there for a command line."""
    return Work(
        base=tmp_path / "base.safetensors",
        diffusers_base=tmp_path / "base",
        photos=tmp_path / "photos",
        class_images=None,
        identifier="olt",
        class_noun="dog",
        instance_prompt="an olt dog",
        class_prompt="a dog",
        method="lora",
        steps=LOOKS[-1],
        looks=LOOKS,
        learning_rate=2e-4,
        rank=RANK,
        prior_weight=0.0,
        prior_guidance=4.5,
        size=SIDE,
        seed=11,
        precision="fp32",
    )


def options(words: list[str]) -> dict[str, str]:
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


@pytest.mark.parametrize("method", SCRIPTS)
def test_the_script_is_told_the_work(work: Work, method: str, tmp_path: Path) -> None:
    words = command(tmp_path, replace(work, method=method), tmp_path / "out")  # type: ignore[arg-type]
    assert words[1] == str(tmp_path / SCRIPTS[method])
    assert "--with_prior_preservation" not in words
    expected = {
        "--instance_data_dir": str(work.photos),
        "--instance_prompt": "an olt dog",
        "--resolution": "64",
        "--train_batch_size": "1",
        "--max_train_steps": "12",
        "--learning_rate": "0.0002",
        "--lr_scheduler": "constant",
        "--mixed_precision": "no",
        "--checkpointing_steps": "6",
        "--seed": "11",
    }
    said = options(words)
    assert {name: said.get(name) for name in expected} == expected
    assert said.get("--rank") == (str(RANK) if method == "lora" else None)


def test_class_images_are_those_of_the_work_and_no_more_are_drawn(work: Work, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "class" / f"{number}.png").mkdir(parents=True)
    words = command(tmp_path, replace(work, prior_weight=0.5, class_images=tmp_path / "class"), tmp_path)
    said = options(words)
    assert "--with_prior_preservation" in words
    assert (said["--num_class_images"], said["--prior_loss_weight"], said["--class_prompt"]) == ("3", "0.5", "a dog")
    with pytest.raises(ValueError, match="no class images"):
        command(tmp_path, replace(work, prior_weight=0.5), tmp_path)


def test_a_state_stands_at_every_look(work: Work, tmp_path: Path) -> None:
    uneven = replace(work, steps=400, looks=(50, 150, 400))
    assert options(command(tmp_path, uneven, tmp_path))["--checkpointing_steps"] == "50"
    with pytest.raises(ValueError, match="greatest common divisor"):
        command(tmp_path, replace(work, steps=400, looks=(33, 400)), tmp_path)


def test_a_folder_without_scripts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptsMissing, match=str(tmp_path)):
        diffusers_scripts(tmp_path)


def test_the_node_refuses_what_it_has_no_way_to_do(work: Work) -> None:
    for refused, reason in (
        (replace(work, prior_weight=1.0), "no prior preservation"),
        (replace(work, method="full"), "trains LoRAs"),
    ):
        with pytest.raises(ValueError, match=reason):
            require_possible(refused)
    with pytest.raises(GraphError, match="CheckpointLoaderSimple"):
        graph(work, 4, "base.safetensors", "photos", {})


@pytest.fixture
def real_work(work: Work, diffusers_base: Path) -> Work:
    work.photos.mkdir()
    for photo in read_folder(SUBJECTS / "spotted_dog", SIDE, SIDE):
        write_picture(photo.pixels, work.photos / photo.name)
    return replace(work, base=cached_toybase(), diffusers_base=diffusers_base)


def looked_at(contender: Contender, work: Work, folder: Path) -> tuple[list[int], Trained]:
    """The steps of the looks, each at a denoiser that differs from the base's and the last look's."""
    last = load_base(work.base).denoiser.state_dict()
    trained_by_all = [name for name in last if name.endswith("to_v.weight")]
    seen: list[int] = []

    def look(step: int, base: Base) -> None:
        state = base.denoiser.state_dict()
        for name in trained_by_all:
            assert not torch.equal(state[name], last[name])
            last[name] = state[name].clone()
        seen.append(step)

    return seen, contender(work, folder, look)


@pytest.mark.slow
def test_the_real_node_trains_and_is_measured(real_work: Work, tmp_path: Path) -> None:
    steps, trained = looked_at(train_lora_node(), replace(real_work, looks=(2, 12)), tmp_path / "node")
    assert steps == [2, 12]
    assert trained.seconds > 0
    assert 0 < trained.share < 0.05
    assert [path.name for path in (tmp_path / "node").iterdir()] == ["comfyui.log"]


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("DIFFUSERS"), reason="DIFFUSERS does not name examples/dreambooth of its sources"
)
@pytest.mark.parametrize("method", SCRIPTS)
def test_the_real_scripts_train_and_are_measured(real_work: Work, method: str, tmp_path: Path) -> None:
    work = replace(real_work, method=method, prior_weight=1.0, class_images=real_work.photos)  # type: ignore[arg-type]
    steps, trained = looked_at(diffusers_scripts(Path(os.environ["DIFFUSERS"])), work, tmp_path / "scripts")
    assert steps == list(LOOKS)
    assert trained.seconds > 0
    assert (0.1 < trained.share < 1) == (method == "full")
    assert [path.name for path in (tmp_path / "scripts").iterdir()] == ["diffusers.log"]
