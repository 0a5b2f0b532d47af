"""One small checkpoint of every family, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.tests.trainer.families.small import WIDTHS, write_checkpoint
from dreambooth_nodes.trainer.base import Base
from dreambooth_nodes.trainer.families import load_base


@pytest.fixture(scope="package", params=WIDTHS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="package")
def file(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(family, tmp_path_factory.mktemp(family) / f"{family}.safetensors")


@pytest.fixture(scope="package")
def model(file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(file)
