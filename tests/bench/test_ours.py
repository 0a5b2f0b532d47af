"""Our side trains on the very pictures that the rivals read, and shows progress that can be measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.bench.measured_process import measure
from dreambooth_nodes.bench.speed.contenders import OURS, Contender, our_command
from dreambooth_nodes.bench.speed.distance import distance
from dreambooth_nodes.bench.speed.machine_limit import MachineLimit
from dreambooth_nodes.bench.speed.materials import Materials, Task
from dreambooth_nodes.bench.speed.ours import open_base, request_of
from dreambooth_nodes.bench.speed.preparation import CLASS_IMAGES, prepare
from dreambooth_nodes.bench.speed.real_size import RealRow, measure_row
from dreambooth_nodes.bench.speed.rounds import Place
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.trainer.runs.personalized import read_personalized

STEPS = 4
LIMIT = MachineLimit({"float32": 1e14}, 1e12)
"""A machine that nothing here comes near to."""


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Materials]:
    with lent_folder(tmp_path_factory, "materials") as folder:
        yield prepare(folder, "toybase", 64, "fp32", torch.device("cpu"))


def test_the_rivals_folders_hold_pictures_of_the_size_and_nothing_else(materials: Materials) -> None:
    for folder, count in ((materials.photos, 5), (materials.class_image_folder, CLASS_IMAGES)):
        pictures = [Image.open(path) for path in folder.iterdir()]
        assert [picture.size for picture in pictures] == [(64, 64)] * count


def test_a_task_gets_as_many_pictures_of_its_size_as_it_asks_for(materials: Materials, tmp_path: Path) -> None:
    task = Task(method="lora", steps=STEPS, photos=7, class_images=15, resolution=96)
    base = open_base(materials, task)
    request = request_of(materials, task, base, tmp_path)
    assert request.priors is not None
    pictures = [*request.subject.photos, *request.priors.photos()]
    assert {tuple(picture.pixels.shape) for picture in pictures} == {(3, 96, 96)}
    assert (len(request.subject.photos), len(pictures)) == (7, 7 + 15)


def test_both_layouts_are_one_denoiser_and_are_read_with_a_narrow_vae(materials: Materials) -> None:
    narrow, padded = (open_base(materials, Task(method="full", steps=1, layout=at)) for at in ("folder", "checkpoint"))  # type: ignore[arg-type]
    sizes = [sum(weight.numel() for weight in base.vae.parameters()) for base in (narrow, padded)]
    # The padded one's residual blocks stay, as wide as the others.
    assert sizes[0] < sizes[1] < 1.5 * sizes[0]
    weights = padded.denoiser.state_dict()
    for name, weight in narrow.denoiser.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_every_phase_is_timed_and_none_is_below_the_floor_of_a_faster_machine(materials: Materials) -> None:
    found = distance(materials, Task(method="lora", steps=STEPS), LIMIT, with_phases=True)
    step, phases = found["step"], {phase["name"]: phase for phase in found["phases"]}  # type: ignore[attr-defined,index]
    # One forward and backward of two images of 8 by 8 latents through 25.8 million weights, most of them in products.
    assert 3e9 < step["flops"] < 3e10  # type: ignore[index]
    assert list(phases) == ["load", "priors", "encode", "train", "export"]
    for name in ("priors", "encode", "train"):
        assert 0 < phases[name]["floor"] < phases[name]["seconds"]
    assert phases["export"]["floor"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_our_side_trains_all_steps_and_is_measured(materials: Materials, method: str, tmp_path: Path) -> None:
    task = Task(method=method, steps=STEPS)  # type: ignore[arg-type]
    found = measure(our_command(materials, task, tmp_path), STEPS, tmp_path / f"{OURS}.log", warm_up=1)
    assert found.steps_per_second * found.seconds > 3
    assert 0 < found.first_step < found.seconds
    (file,) = [path for folder in ("loras", "checkpoints") for path in (tmp_path / folder).glob("*.safetensors")]
    assert (read_personalized(file).method, read_personalized(file).steps) == (method, STEPS)


@pytest.mark.slow
def test_a_row_of_real_size_runs_on_a_small_base_without_a_gpu(materials: Materials, tmp_path: Path) -> None:
    task = Task(
        method="lora",
        steps=STEPS,
        batch_size=2,
        memory_limit=2**33,
        layout="checkpoint",
        options={"checkpointing": True},
    )
    place, sides = Place(materials, tmp_path, warm_up=1), [Contender(OURS, our_command)]
    (line,) = measure_row(RealRow("small", "toybase", 64, task), place, sides, 1).lines
    assert line.images_per_second == pytest.approx(4 * line.steps_per_second)
    assert line.of_roofline is not None and line.of_roofline > 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"]
    impossible = replace(task, options={"rank": 0})
    failed = measure_row(RealRow("impossible", "toybase", 64, impossible), place, sides, 1)
    assert not failed.lines and "rank" in failed.failure
