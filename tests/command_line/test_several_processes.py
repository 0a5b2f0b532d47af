"""`accelerate launch --num_processes 2`, on a CPU: what one process with twice the batch trains, within rounding."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from dreambooth_nodes.tests.command_line.conftest import ROOT, Command, started
from dreambooth_nodes.tests.command_line.two_processes import (
    SHARDED,
    TOGETHER,
    children_of,
    free_port,
    launched,
    read_until_steps,
    require_same_within_rounding,
    result_of,
    same_bits,
    short_run,
    trained_by_one,
    trained_by_two,
)
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.files.safetensors import read_tensors

ENDLESS = ("--steps", 100_000, "--priors", 0, "--rank", 2, "--state-seconds", 1000)


@pytest.mark.slow
def test_a_lora_is_what_one_process_with_twice_the_batch_trains(
    tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    words = ("--train-text-encoder", "--accumulation", 2, "--learning-rate", 1e-3, "--rank", 4, "--steps", 3)
    two = trained_by_two(tiny_base_file, tmp_path, *words)
    one = trained_by_one(tiny_base_file, tmp_path, command, *words, "--batch-size", 2)
    require_same_within_rounding(two, one)
    assert two["settings"]["batch_size"] == 2
    written = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("one", "two")]
    assert written[0] == written[1]


@pytest.mark.slow
def test_a_full_model_is_too_whole_in_each_process_or_in_parts(
    tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    words = ("--method", "full", "--learning-rate", 1e-5, "--steps", 2, "--priors", 0)
    one = command(*short_run(tiny_base_file, tmp_path / "one", *words, "--batch-size", 2))
    for name, launch in {"whole": TOGETHER, "in parts": SHARDED}.items():
        two = result_of(launched(short_run(tiny_base_file, tmp_path / name, *words), launch))
        require_same_within_rounding(two, one, tiny_base_file)


ADAFACTOR = ("--method", "full", "--learning-rate", 1e-5, "--priors", 0, "--optimizer", "adafactor")
IN_BF16 = ("--trained-weights", "bf16", "--precision", "bf16")


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "rounding"), [((), 1e-2), (IN_BF16, 0.1)], ids=["fp32", "bf16"])
def test_adafactor_trains_a_full_model_in_parts_as_a_whole_one(
    weights: tuple[object, ...], rounding: float, tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    """In bf16 the random bits of a weight's rounding are those of one process."""
    words = (*ADAFACTOR, *weights, "--steps", 2)
    one = command(*short_run(tiny_base_file, tmp_path / "one", *words, "--batch-size", 2))
    two = result_of(launched(short_run(tiny_base_file, tmp_path / "two", *words), SHARDED))
    require_same_within_rounding(two, one, tiny_base_file, rounding)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_lora_in_parts_is_what_one_process_trains_and_draws_samples_on_the_way(
    precision: str, tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    """In bf16 the frozen weights are: rounding of the forward is then larger than that of the sums."""
    words = ("--precision", precision, "--rank", 4, "--steps", 3, "--priors", 0, "--sample-count", 1)
    two = result_of(launched(short_run(tiny_base_file, tmp_path / "two", *words, "--sample-every", 2), SHARDED))
    one = command(*short_run(tiny_base_file, tmp_path / "one", *words, "--batch-size", 2))
    require_same_within_rounding(two, one, rounding=1e-4 if precision == "fp32" else 2e-2)
    assert len(list(Path(two["run"]).glob("samples/*"))) >= 2


@pytest.mark.slow
def test_torchrun_and_a_configuration_of_accelerate_start_it_too(tiny_base_file: Path, tmp_path: Path) -> None:
    words = ("--rank", 2, "--steps", 2, "--priors", 0)
    config = tmp_path / "config.yaml"
    config.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nnum_processes: 2\n")
    configured = launched(short_run(tiny_base_file, tmp_path / "configured", *words), ("--config_file", config))
    program = ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--master-port", free_port(), ROOT / "__main__.py")
    run = started([*program, *short_run(tiny_base_file, tmp_path / "run", *words), "--json"], OMP_NUM_THREADS="1")
    assert same_bits(result_of(configured), result_of(run))


@pytest.mark.parametrize("count", [1, 2])
def test_one_of_several_ends_before_python_takes_itself_apart(count: int) -> None:
    program = f"""
import atexit, runpy
runpy.run_path({str(ROOT / "__main__.py")!r}, run_name="dreambooth_command_line")["load_package"]()
from dreambooth_nodes.command_line.processes import end
atexit.register(print, "taken apart")
print("result")
end(3)
"""
    process = started(["-c", program], WORLD_SIZE=str(count))
    assert process.communicate(timeout=HANG_SECONDS)[0].split("\n")[:-1] == ["result", "taken apart"][: 3 - count]
    assert process.returncode == 3


@pytest.mark.slow
def test_two_processes_are_bit_for_bit_two_batches_in_turn(
    tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    words = ("--method", "full", "--learning-rate", 1e-5, "--steps", 3)
    two = trained_by_two(tiny_base_file, tmp_path, *words)
    in_turn = trained_by_one(tiny_base_file, tmp_path, command, *words, "--accumulation", 2)
    assert same_bits(two, in_turn)


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["--multi_gpu", "--use_fsdp"])
def test_a_killed_run_goes_on_bit_for_bit_and_with_one_process_within_rounding(
    launch: str, tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    method = ("--method", "full", "--learning-rate", 1e-5) if launch == "--use_fsdp" else ("--rank", 2)
    words = (*method, "--train-text-encoder", "--steps", 8, "--priors", 0)
    straight = result_of(launched(short_run(tiny_base_file, tmp_path / "straight", *words), (launch,)))
    process = launched(short_run(tiny_base_file, tmp_path / "killed", *words, "--state-seconds", 0.01), (launch,))
    while not list(tmp_path.glob("killed/dreambooth/runs/*/state.safetensors")):
        assert process.poll() is None
        time.sleep(0.005)
    # The launcher gives each of them a session of its own.
    for pid in (process.pid, *children_of(process)):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=HANG_SECONDS)
    assert not list(tmp_path.glob("killed/*/*.safetensors"))
    shutil.copytree(tmp_path / "killed", tmp_path / "alone")
    again = result_of(launched(short_run(tiny_base_file, tmp_path / "killed", *words, "--resume"), (launch,)))
    assert (again["status"], again["steps"]) == ("finished", 8) and same_bits(again, straight)
    alone = command(*short_run(tiny_base_file, tmp_path / "alone", *words, "--resume", "--batch-size", 2))
    require_same_within_rounding(alone, straight, tiny_base_file if launch == "--use_fsdp" else None)


@pytest.mark.slow
def test_two_machines_need_no_common_folder(tiny_base_file: Path, tmp_path: Path, command: Command) -> None:
    """Two launchers, each with an output folder of its own; photos are on the first machine only."""
    words, port = ("--rank", 2, "--steps", 3, "--state-seconds", 0.01), free_port()
    machines = []
    for rank in (0, 1):
        at = ("--num_machines", 2, "--machine_rank", rank, "--main_process_ip", "127.0.0.1")
        photos = () if rank == 0 else ("--photos", tmp_path / "nowhere")
        said = short_run(tiny_base_file, tmp_path / f"machine {rank}", *words, *photos)
        machines.append(launched(said, (*TOGETHER, *at), port))
    two = result_of(machines[0])
    out, err = machines[1].communicate(timeout=HANG_SECONDS)
    assert (machines[1].returncode, out) == (0, ""), err
    assert not (tmp_path / "machine 1").exists()
    shutil.copytree(tmp_path / "machine 0/dreambooth/priors", tmp_path / "one/dreambooth/priors")
    one = command(*short_run(tiny_base_file, tmp_path / "one", *words, "--batch-size", 2))
    require_same_within_rounding(two, one)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_and_what_was_trained_is_saved(number: int, tiny_base_file: Path, tmp_path: Path) -> None:
    process = launched(short_run(tiny_base_file, tmp_path, *ENDLESS))
    read_until_steps(process)
    os.killpg(process.pid, number)
    # The launcher answers a signal with a traceback of its own, and with 1.
    stopped = result_of(process, status=1)
    assert stopped["status"] == "stopped" and 1 <= stopped["steps"] < 100_000
    assert len(read_tensors(Path(stopped["file"])))


@pytest.mark.slow
def test_what_was_trained_is_saved_when_the_other_process_dies(tiny_base_file: Path, tmp_path: Path) -> None:
    process = launched(short_run(tiny_base_file, tmp_path, *ENDLESS))
    read_until_steps(process)
    os.kill(children_of(process)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert "the connection to another process is lost" in err
    (record,) = tmp_path.glob("dreambooth/runs/*/run.json")
    said = json.loads(record.read_text())
    assert said["status"] == "stopped" and len(said["losses"]) >= 1
    assert (record.parent / "state.safetensors").is_file()
    assert len(list(tmp_path.glob("loras/*.safetensors"))) == 1 and not list(tmp_path.rglob("*.part"))
