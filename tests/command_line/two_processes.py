"""`accelerate launch` with two processes, and how what they train is compared."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dreambooth_nodes.tests.command_line.conftest import ROOT, Command, started, train_words
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.files.safetensors import read_tensors

ROUNDING = {"lora": 1e-4, "full": 5e-3}
"""Of the change, for sums in another order; a full result is written in the base's own float16."""
LOSS_ROUNDING = 1e-4


TOGETHER, SHARDED = ("--multi_gpu",), ("--use_fsdp",)


def short_run(base: Path, output: Path, *more: object) -> list[str]:
    """A short training that no plan changes: how much memory is free differs from run to run."""
    return train_words(base, output, "--memory", "off", *more)


def launched(words: Sequence[str], launch: Sequence[object] = TOGETHER, port: int = 0) -> subprocess.Popen[str]:
    """Two processes by accelerate's launcher, which answers for them; in a session of its own, as a terminal has it."""
    launcher = ("-m", "accelerate.commands.launch", "--num_processes", 2, "--main_process_port", port or free_port())
    return started([*launcher, *launch, ROOT, *words, "--json"], session=True, OMP_NUM_THREADS="1")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def same_bits(one: dict[str, Any], other: dict[str, Any]) -> bool:
    mine, theirs = (read_tensors(Path(said["file"])) for said in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(weight, theirs[key]) for key, weight in mine.items())


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a launcher has started, by rank."""
    return [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    ]


def result_of(process: subprocess.Popen[str], status: int = 0) -> dict[str, Any]:
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == status, err
    assert out.count("\n") == 1
    return dict(json.loads(out))


def trained_by_two(base: Path, folder: Path, *words: object) -> dict[str, Any]:
    """Class images are drawn by both."""
    return result_of(launched(short_run(base, folder / "two", *words, "--priors", 3)))


def trained_by_one(base: Path, folder: Path, command: Command, *words: object) -> dict[str, Any]:
    """With the class images of the two: drawn in other batches, one may differ in a pixel, which is no rounding."""
    shutil.copytree(folder / "two" / "dreambooth/priors", folder / "one" / "dreambooth/priors", dirs_exist_ok=True)
    return command(*short_run(base, folder / "one", *words, "--priors", 3))


def curve(result: dict[str, Any], term: str) -> torch.Tensor:
    record = json.loads((Path(result["run"]) / "run.json").read_text())
    return torch.tensor([point[term] for point in record["losses"]])


def require_same_within_rounding(
    one: dict[str, Any], other: dict[str, Any], start: Path | None = None, rounding: float | None = None
) -> None:
    """Files, curves and keys. start: the weights that a whole checkpoint began with. rounding: of the change and of the
    losses, where it is not float32's.
    """
    mine, theirs = (read_tensors(Path(said["file"])) for said in (one, other))
    began = read_tensors(start) if start else {}
    assert mine.keys() == theirs.keys()
    apart = changed = 0.0
    for key, weight in mine.items():
        apart += float((weight.double() - theirs[key].double()).square().sum())
        changed += float((weight.double() - began.get(key, torch.zeros_like(weight)).double()).square().sum())
    assert apart**0.5 < (rounding or ROUNDING[one["method"]]) * changed**0.5
    assert Path(one["run"]).name == Path(other["run"]).name
    priors = () if one["prior_loss"] is None else ("prior",)
    for term in ("instance", "gradient_norm", *priors):
        near = max(rounding or 0.0, LOSS_ROUNDING)
        torch.testing.assert_close(curve(one, term), curve(other, term), rtol=near, atol=near)


def read_until_steps(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    said = ""
    while not re.search(r"steps:[^\r\n]* [1-9]\d*/100000", said):
        letter = process.stderr.read(1)
        assert letter, said
        said += letter
