"""Loads the repository root as the package `dreambooth_nodes`, the way the hosts load it."""

from __future__ import annotations

import ctypes
import gc
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any import of the libraries that read them: no test may reach a model hub.
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

# The same examples everywhere, however slow the machine is.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent

runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()

# Importable from here on, and torch is not imported yet.
from dreambooth_nodes.tests import interruption, workers  # noqa: E402
from dreambooth_nodes.trainer.openmp import openmp_settings  # noqa: E402

os.environ.update(workers.thread_settings(), **openmp_settings())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(interruption.Interruption(), "interruption")
    if "PYTEST_XDIST_WORKER" in os.environ or config.getoption("numprocesses", None):
        config.pluginmanager.register(workers.Workers(), "workers")


MOST_KEPT = 3 << 29
"""Bytes of memory that a process may hold when a test has ended: 1.5 GB, what is freed and not given back included."""


@pytest.fixture(scope="module", autouse=True)
def freed_memory_is_returned() -> Iterator[None]:
    """After a file's tests glibc would keep what they freed: gigabytes by the end of a worker's life."""
    yield
    gc.collect()
    return_freed_memory()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """The same where one test has freed much: glibc keeps tensors of up to 32 MB, which most of a small model's are."""
    if sys.platform == "linux" and resident_bytes() > MOST_KEPT:
        return_freed_memory()


def return_freed_memory() -> None:
    """Give the system back what is free in glibc's heap."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def resident_bytes() -> int:
    """Of this process, by Linux."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def toybase_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded base for what no host loads; hosts have the whole file of `demo.example.cached_toybase`."""
    # Imported here, so that tests without the base need not wait for it.
    from dreambooth_nodes.tests.compact_base import write_compact_base

    return write_compact_base(tmp_path_factory.mktemp("toybase") / "toybase.safetensors")


@pytest.fixture(scope="session")
def tiny_base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of random weights, for what does not depend on what it has learned."""
    from dreambooth_nodes.tests.tiny_base import write_tiny_base

    return write_tiny_base(tmp_path_factory.mktemp("tiny_base") / "tiny_base.safetensors")
