"""The check of the machine, on small models: what it finds, what it says, and when it ends."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.machine_check import trial as trials_module
from dreambooth_nodes.machine_check.check import PARTS, check_machine, models, trials
from dreambooth_nodes.machine_check.machine import dtype_outcomes
from dreambooth_nodes.machine_check.outcome import DOES_NOT_FIT, FAILED, NOT_OFFERED, NOT_RUN, WITHIN, WORKS, Outcome
from dreambooth_nodes.machine_check.peak_memory import CpuAllocations
from dreambooth_nodes.machine_check.report import Report
from dreambooth_nodes.machine_check.trial import Trial, try_out
from dreambooth_nodes.trainer.memory.footprint import FootprintEstimator, Work
from dreambooth_nodes.trainer.model.families import family_of

CPU = torch.device("cpu")
SMALL = models(small=True)


@pytest.fixture(scope="module")
def report() -> Report:
    """Of a check whose time is over before its first training."""
    return check_machine(CPU, lambda what, done, total: None, small=True, seconds=0.0)


def test_a_run_from_photos_to_a_file_works_here(report: Report) -> None:
    assert {one.name: one.status for one in report.run} == dict.fromkeys(
        ("from photos to file", "sample picture", "offloading", "stop and resume"), WORKS
    ), report.run
    resumed = next(one for one in report.run if one.name == "stop and resume")
    assert resumed.text == "the same bits as without a stop"


def test_no_training_is_begun_when_the_time_is_over(report: Report) -> None:
    assert [one.status for one in report.trials] == [NOT_RUN] * (PARTS - 2)
    assert not report.failed and "does not train" in report.verdict


def test_a_report_is_json_and_names_no_user_and_no_folder(report: Report) -> None:
    text = report.text() + json.dumps(report.record())
    assert "torch" in text and str(Path.home()) not in text and getpass.getuser() not in text.split()
    assert str(Path(trials_module.__file__).parents[1]) not in text


def test_every_dtype_has_its_line() -> None:
    assert [one.name for one in dtype_outcomes(CPU)] == [
        "fp32 products", "fp16 products", "bf16 products", "fp8 storage",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "trial",
    [
        Trial(SMALL.dit, "full"),
        pytest.param(Trial(SMALL.sd1, "lora"), marks=pytest.mark.slow),
        Trial(replace(SMALL.sd1, fp8=True), "lora"),
    ],
    ids=lambda trial: trial.name,
)
def test_a_training_has_a_speed_a_picture_and_its_memory_beside_the_count(trial: Trial) -> None:
    found = try_out(trial, CPU, 0.1)
    assert found.status == WORKS, found.text
    assert found.steps_per_second and found.sample_seconds and found.ratio is not None
    assert abs(found.ratio - 1) < WITHIN, "the steps' memory is the plan's count"
    assert found.name == trial.name and found.seconds > 0


def test_a_precision_that_a_device_does_not_offer_is_no_failure() -> None:
    found = try_out(Trial(SMALL.dit, "lora", "fp16"), CPU, 0.1)
    assert found.status == NOT_OFFERED and "fp16" in found.text


def test_what_does_not_fit_is_said_and_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dreambooth_nodes.trainer.memory.plan.free_memory", lambda device: 1_000_000)
    found = try_out(Trial(SMALL.dit, "full"), CPU, 0.1)
    assert found.status == DOES_NOT_FIT and "It may not fit" in found.text


def test_a_training_that_changes_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trials_module.LEARNING_RATES, "full", 1e-30)
    found = try_out(Trial(SMALL.dit, "full"), CPU, 0.1)
    assert found.status == FAILED and found.text == "the steps changed no weight"


def test_the_models_are_of_the_families_that_their_names_say() -> None:
    for small in (True, False):
        of = models(small)
        assert family_of(of.sd1.source(CPU)).family == "sd1" and family_of(of.sdxl.source(CPU)).family == "sdxl"
        assert of.dit.family().recognises(of.dit.shapes())
    assert {trial.model.side for trial in trials(models(False))} == {512, 1024}


def test_at_full_size_every_training_is_counted() -> None:
    """On the meta device; what a GPU then takes is measured by the check itself."""
    trial = Trial(models(False).dit, "lora")
    source, work = trial.model.source(CPU), Work(2, 512, 512, "cuda", torch.bfloat16)
    counted = FootprintEstimator(source, family=trial.model.family()).footprint(trial.options(), work)
    assert counted is not None and 1.2e9 < counted.weights < 1.4e9


def test_a_random_weight_is_the_same_at_every_read() -> None:
    source = SMALL.sd1.source(CPU)
    name = next(key for key in source.shapes if key.endswith("proj_in.weight"))
    assert torch.equal(source.tensors(name)[name], source.tensors(name)[name])


def test_the_peak_of_a_cpu_is_of_what_was_allocated_and_not_of_what_was_held() -> None:
    before = torch.ones(5_000_000)
    with CpuAllocations() as allocations:
        for _ in range(3):
            both = torch.ones(1_000_000), torch.ones(2_000_000)
            del both
        after = before + 1
    assert len(after) == len(before) and 20_000_000 <= allocations.peak < 20_001_000


def test_a_gpu_whose_memory_is_not_as_counted_is_told_apart() -> None:
    row = Outcome("SD 1.5 LoRA, 512 px", WORKS, "as it is", 5.0, peak=3_000_000_000, counted=2_000_000_000)
    machine = {
        "device": "a GPU", "device_type": "cuda", "cuda": "12", "capability": "9.0", "cpu": "", "memory": 1,
        "device_memory": 1, "free": 1, "precision": "bfloat16", "versions": {},
    }  # fmt: skip
    text = Report(machine, [], [], [row], False, 100.0).text()
    assert "more than 10% from the plan's count: SD 1.5 LoRA, 512 px 1.50" in text
    assert "800 steps take about 3 min" in text
