"""The fault bench, a minute of it; and that it sees what is not as promised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.faults.bad_inputs.judging import accepted_or_refused, refused
from dreambooth_nodes.tests.faults.disk import Reference, after_death, at_the_end, contents
from dreambooth_nodes.tests.faults.row import Row, table
from dreambooth_nodes.tests.faults.setting import store_in
from dreambooth_nodes.trainer.files.safetensors import write_tensors
from dreambooth_nodes.trainer.runs.personalized import Personalized, checked_name
from dreambooth_nodes.trainer.runs.run import open_run

ROOT = Path(__file__).resolve().parents[2]
KEY = "a" * 64


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and looks into /proc")
def test_deaths_bad_inputs_a_full_disk_and_two_jobs_end_as_promised(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.faults", "--small", "--output", str(tmp_path)]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried = {row["kind"]: row["count"] for row in json.loads((tmp_path / "faults.json").read_text())}
    assert sum(count for kind, count in tried.items() if "inputs" in kind) > 300
    assert sum(count for kind, count in tried.items() if "death" in kind or "kill" in kind) >= 10
    assert any("disk" in kind for kind in tried) and any("two runs" in kind for kind in tried)


def against() -> Reference:
    return Reference(KEY, [[1, 0.5, None]], {1: {"a": torch.ones(1)}})


def saved(file: Path, value: float) -> Path:
    said = Personalized(file, "lora", "olt", "dog", "f" * 64, 1, 0).metadata()
    return write_tensors({"a": torch.full((1,), value)}, file, said)


def test_the_bench_sees_what_a_death_should_not_leave(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    file = saved(store.loras / "dog_00001.safetensors", 1.0)
    assert after_death(store, against()) == []
    saved(file, 2.0)
    (store.loras / "torn.safetensors").write_bytes(file.read_bytes()[:-1])
    (store.loras / "stray.txt").write_text("")
    write_tensors({"losses": torch.zeros(1, 8)}, open_run(KEY, store).state, {"dreambooth.key": "b" * 64})
    (open_run(KEY, store).folder / "run.json").write_text("{")
    found = "\n".join(after_death(store, against()))
    for said in ("other weights", "torn.safetensors is listed and not whole", "stray.txt", "another run", "the record"):
        assert said in found


def test_the_bench_sees_what_the_next_run_should_not_leave(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    file = saved(store.loras / "dog_00001.safetensors", 1.0)
    answer = {"status": "finished", "losses": [[1, 0.5, None]], "file": str(file)}
    before = contents(store)
    assert at_the_end(store, against(), answer, before) == []
    (store.loras / ".dog_00002.safetensors.abcdefgh.part").write_bytes(b"torn")
    saved(file, 2.0)
    found = "\n".join(at_the_end(store, against(), {**answer, "losses": []}, before))
    assert all(said in found for said in ("overwritten", ".part is left", "other ones", "other weights"))


def test_only_the_products_own_words_are_a_refusal() -> None:
    assert refused(lambda: checked_name("a/b"), "name") == []
    assert "taken" in refused(lambda: checked_name("ab"))[0]
    assert "does not say" in refused(lambda: checked_name("a/b"), "elephant")[0]
    assert "library" in accepted_or_refused(lambda: json.loads("{"))[0]
    assert "ended in AttributeError" in accepted_or_refused(lambda: checked_name(1))[0]  # type: ignore[arg-type]


def test_a_fault_is_in_the_table() -> None:
    row = Row("deaths")
    row.add("one", [])
    row.add("two", ["it is torn", "it is left"])
    assert "| deaths | 2 | 1 | 1 |" in table([row]) and "two: it is torn" in table([row])
