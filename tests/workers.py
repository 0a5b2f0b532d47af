"""The tests in several processes (`make test`, pytest-xdist): threads for each, and which tests stay together."""

from __future__ import annotations

import os
from typing import Any

import pytest

TOGETHER = ("browser", "host", "behaviour")
"""Folders of which all tests run in one worker: they share a host, or trainings."""
LONGEST_FIRST = ("browser", "behaviour", "command_line", "host", "webui/test_tab", "bench", "webui", "toybase")
"""Beginnings of groups in the order in which they are begun; then all others. What is short fills up the end.

The two that drive a browser are apart: its drawing would hold up the other's.
"""


def thread_settings() -> dict[str, str]:
    """The environment of a worker and of what it starts: its share of the cores; nothing in a process of its own."""
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is None or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // int(workers)))}


def group_of(test: str) -> str:
    """What a test stays together with, by its id: its folder, if that is one of TOGETHER, else its file."""
    file = test.partition("::")[0].removeprefix("tests/")
    folder = file.partition("/")[0]
    return folder if folder in TOGETHER else file


def place_of(test: str) -> int:
    """When its group is begun; groups with the same number are begun in the order of their names."""
    group = group_of(test)
    return next((n for n, start in enumerate(LONGEST_FIRST) if group.startswith(start)), len(LONGEST_FIRST))


class Workers:
    """The pytest plugin, where tests are distributed."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin with the longest."""
        items.sort(key=lambda item: place_of(item.nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """A group to a worker, in the order of the tests."""
        from xdist.scheduler import LoadScopeScheduling

        class Groups(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                return group_of(nodeid)

        config.option.loadscopereorder = False
        return Groups(config, log)
