"""The embedded base: what is counted of a step is compared with a real one, which has to be of some size."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base


@pytest.fixture(scope="module")
def base(toybase_file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(toybase_file)
