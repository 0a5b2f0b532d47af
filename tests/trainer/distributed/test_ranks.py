"""Two ranks, one of which has little memory or is told to stop: both go on in less of it, or both end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.distributed.ranks import SINGLE_PROCESS
from dreambooth_nodes.trainer.files.safetensors import read_tensors
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.personalized import read_personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.photos import read_folder
from dreambooth_nodes.trainer.subject.subject import Subject

PROGRAM = Path(__file__).with_name("rank.py")
OPTIONS: dict[str, Any] = {
    "steps": 3, "sample_count": 0, "precision": "fp32", "rank": 2, "learning_rate": 1e-3, "batch_size": 4,
    "memory": "off",
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """Two ranks that have ended: their exit statuses and what they said on stderr; what the first one told of each
    training, and the folder of their outputs.
    """

    statuses: list[int]
    said: list[str]
    told: list[dict[str, Any]]
    folder: Path


def two_ranks(base: Path, folder: Path, images: tuple[int, int], *trainings: dict[str, Any]) -> Ended:
    """The ranks, which can be shown so many images at once, after these trainings in turn; each with an output folder
    named by its number.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    settings = json.dumps([{**OPTIONS, **changes} for changes in trainings])
    ranks = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(base), str(folder / f"{rank}"), str(images[rank]), settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in (0, 1)
    ]
    (out, *_), said = zip(*(rank.communicate(timeout=HANG_SECONDS) for rank in ranks), strict=True)
    told = [json.loads(line) for line in out.splitlines()]
    return Ended([rank.returncode for rank in ranks], list(said), told, folder)


@pytest.fixture(scope="module")
def ended(tiny_base_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Of three trainings: one that may fit itself, one that the second rank stops, one that may not fit itself."""
    trainings: tuple[dict[str, Any], ...] = ({"fit_memory": True}, {"batch_size": 2, "steps": 60, "stop_after": 12}, {})
    return two_ranks(tiny_base_file, tmp_path_factory.mktemp("ranks"), (4, 1), *trainings)


def test_a_step_that_does_not_fit_in_one_rank_is_made_smaller_in_all(
    ended: Ended, tiny_base_file: Path, tmp_path: Path
) -> None:
    assert len(ended.told) == 2, ended.said
    found = ended.told[0]
    assert ["checkpointing" in found["warnings"][0], "batch_size is 1" in found["warnings"][1]] == [True, True]
    assert not (ended.folder / "1").exists(), "only the first one writes"
    photos = read_folder(PROGRAM.parents[3] / "toybase" / "subjects" / "spotted_dog", 64, 64)
    request = Request(
        subject=Subject(photos, "dog", 64, 64), identifier="ohwx", options=TrainOptions(**OPTIONS), name="dog"
    )
    alone = Store(tmp_path / "loras", tmp_path / "checkpoints", tmp_path / "dreambooth")
    result, run = personalize(load_base(tiny_base_file), request, alone)
    expected = torch.tensor([step.instance for step in run.losses()])
    torch.testing.assert_close(torch.tensor(found["losses"]), expected, rtol=1e-4, atol=1e-4)
    (file,) = (ended.folder / "0" / "0" / "loras").glob("*.safetensors")
    together, weights = read_tensors(file), read_tensors(result.file)
    assert together.keys() == weights.keys()
    apart = sum(float((together[key].double() - weights[key].double()).square().sum()) for key in weights)
    assert apart < 1e-6 * sum(float(weight.double().square().sum()) for weight in weights.values())


def test_a_stop_that_one_rank_wants_ends_both_after_the_same_step_and_is_saved(ended: Ended) -> None:
    stopped = ended.told[1]
    assert 1 <= stopped["steps"] == len(stopped["losses"]) < 60
    (file,) = (ended.folder / "0" / "1" / "loras").glob("*.safetensors")
    assert read_personalized(file).steps == stopped["steps"]


def test_what_does_not_fit_in_one_rank_ends_all_and_says_what_would(ended: Ended) -> None:
    assert ended.statuses == [1, 1]
    first, second = ended.said
    assert "set batch_size to 1" in first and "another process is out of memory" in first
    assert "can't allocate memory" in second


def test_one_process_alone_exchanges_nothing() -> None:
    weights = torch.ones(3)
    assert SINGLE_PROCESS.decided(lambda: 7) == SINGLE_PROCESS.attempt(lambda: 7) == 7
    assert SINGLE_PROCESS.any(True) and not SINGLE_PROCESS.any(False)
    assert SINGLE_PROCESS.mean(weights) is weights and SINGLE_PROCESS.collected(weights) is weights
    assert list(SINGLE_PROCESS.shared({"a": weights})) == ["a"]
    with pytest.raises(ValueError, match="once"):
        SINGLE_PROCESS.decided(lambda: int("once"))
    SINGLE_PROCESS.leave()
