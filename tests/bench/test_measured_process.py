"""A process is measured as it is: its steps without its start and end, its memory without ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.bench.measured_process import WARM_UP, MeasurementError, measure, speed

ROOT = Path(__file__).resolve().parents[2]
STEPS = WARM_UP + 30
TRAINING = """
import sys, time
from tqdm.auto import tqdm
time.sleep({pause})
held = bytearray(int({megabytes} * 2**20))
for step in tqdm(range({steps}), desc="Steps", mininterval=0):
    time.sleep({pause} / 8 if step < {warm_up} else {pause} / 30)
time.sleep({pause})
sys.exit({status})
"""


def training(steps: int = STEPS, megabytes: float = 0, status: int = 0, pause: float = 0) -> list[str]:
    code = TRAINING.format(steps=steps, megabytes=megabytes, status=status, pause=pause, warm_up=WARM_UP - 1)
    return [sys.executable, "-c", code]


def test_start_warm_up_and_end_are_outside_the_speed(tmp_path: Path) -> None:
    # A pause lasts at least as long as it is asked for, on any machine.
    pause, warming = 1.5, (WARM_UP - 1) * 1.5 / 8
    found = measure(training(pause=pause), STEPS, tmp_path / "log")
    counted = (STEPS - WARM_UP) / found.steps_per_second
    assert counted >= 0.9 * pause, "the steps' own pauses"
    assert counted <= found.seconds - 2 * pause - warming
    assert pause < found.first_step < found.seconds - pause - counted
    assert found.device_memory is None


def test_a_process_may_say_what_its_device_held_and_speak_for_another(tmp_path: Path) -> None:
    said = [f"time.sleep(0.02); print('Steps: {n}/4 [', flush=True)" for n in range(1, 5)]
    said += [f"print('Peak {kind} memory: {size} bytes')" for kind, size in (("device", 12), ("resident", 34))]
    code = "; ".join(["import time", *said, "print('First step after 5.6 seconds')"])
    found = measure([sys.executable, "-c", code], 4, tmp_path / "log", warm_up=1)
    assert (found.device_memory, found.peak_memory, found.first_step) == (12, 34, 5.6)


def test_a_script_behind_the_wrapper_is_as_if_started_by_itself(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 3")
    script = tmp_path / "script.py"
    script.write_text("import beside, sys; print(__name__, beside.VALUE, sys.argv[1:])")
    words = [sys.executable, str(ROOT / "bench" / "speed" / "device_memory.py"), str(script), "--rank", "4"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "__main__ 3 ['--rank', '4']"


def test_peak_memory_is_the_process_own(tmp_path: Path) -> None:
    # Measured by a small process: pytest's own size would be counted as the child's.
    code = (
        "import runpy, sys; from pathlib import Path\n"
        "runpy.run_path(sys.argv[1], run_name='small')['load_package']()\n"
        "from dreambooth_nodes.bench.measured_process import measure\n"
        f"print(measure(sys.argv[3:], {STEPS}, Path(sys.argv[2])).peak_memory)"
    )

    def peak(megabytes: float) -> int:
        words = [sys.executable, "-c", code, str(ROOT / "__main__.py"), str(tmp_path / "log")]
        done = subprocess.run(
            [*words, *training(megabytes=megabytes, pause=0.3)], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    small, large = peak(0), peak(200)
    assert small < 150 * 2**20
    assert 180 * 2**20 < large - small < 220 * 2**20


def test_the_measuring_process_loads_no_torch() -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='small')['load_package']()\n"
        "import dreambooth_nodes.bench.speed.command\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(ROOT / "__main__.py")], check=True)


def test_a_failed_process_gives_no_figure(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="status 3"):
        measure(training(status=3), STEPS, tmp_path / "log")


def test_a_process_that_stops_early_gives_no_figure(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="status 0"):
        measure(training(steps=STEPS - 1), STEPS, tmp_path / "log")


def test_speed_counts_from_the_first_step_shown_after_the_warm_up() -> None:
    shown = {0: 0.0, WARM_UP - 1: 5.0, WARM_UP + 2: 10.0, WARM_UP + 12: 12.0}
    assert speed(shown, WARM_UP + 12) == pytest.approx(5.0)


def test_steps_beside_a_save_are_left_out_of_the_speed() -> None:
    # Half a second a step; step 14 is shown before its state is written, step 18 after.
    moments = [0.0, 0.5, 1.0, 1.5, 2.0, 12.5, 13.0, 13.5, 24.0, 24.5, 25.0]
    shown = {WARM_UP + number: moment for number, moment in enumerate(moments)}
    assert speed(shown, WARM_UP + 10, range(WARM_UP + 4, WARM_UP + 11, 4)) == pytest.approx(2.0)
    with pytest.raises(MeasurementError, match="without a save"):
        speed(shown, WARM_UP + 10, range(0, WARM_UP + 11, 2))


def test_steps_that_are_told_together_count_from_the_last_of_them() -> None:
    # Ten steps a second; a GPU's losses are read, and told, three at a time.
    told = {count: -(-count // 3) * 0.3 + count * 1e-4 for count in range(1, 31)}
    assert speed(told, 30, warm_up=10) == pytest.approx(10, rel=0.01)


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(MeasurementError, match="more than the"):
        speed({0: 0.0, WARM_UP: 1.0}, WARM_UP)
