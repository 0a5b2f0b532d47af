"""Folders that are given back as soon as their fixture is: a suite's models would fill a small disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def lent_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A new folder that is removed at the end."""
    folder = factory.mktemp(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
