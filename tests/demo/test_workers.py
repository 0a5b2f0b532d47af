"""Tests in several processes: what shares a host stays together, and the processes share the cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.tests.workers import group_of, place_of, thread_settings

ROOT = Path(__file__).resolve().parents[2]


def test_a_folder_with_one_host_is_one_group_and_any_other_file_is_its_own() -> None:
    assert group_of("tests/host/test_pack.py::test_a[x/y]") == group_of("tests/host/test_routes.py::test_b") == "host"
    assert group_of("tests/trainer/export/test_metadata.py::test_a[1-a::b]") == "trainer/export/test_metadata.py"
    assert place_of("tests/browser/test_panels.py::test_a") < place_of("tests/trainer/runs/test_run.py::test_a")


def test_workers_share_the_cores_and_leave_what_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    assert thread_settings() == {}
    for count, threads in {1: os.cpu_count(), 10_000: 1}.items():
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(count))
        assert thread_settings() == {"OMP_NUM_THREADS": str(threads)}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_settings() == {}


def test_a_worker_and_what_it_starts_has_its_share_of_threads() -> None:
    """Read by torch when it is first imported, which may be in any conftest."""
    code = f"""
import runpy
runpy.run_path({str(ROOT / "tests" / "conftest.py")!r})
import torch
print(torch.get_num_threads())
"""
    cores = os.cpu_count() or 1
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTEST_XDIST_WORKER_COUNT"] = str(cores)
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.strip() == "1"
