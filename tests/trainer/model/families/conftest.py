"""One small checkpoint of every family, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base


@pytest.fixture(scope="package", params=["sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    """Every kind of layer of SD 2 is one of SDXL's."""
    return str(request.param)


@pytest.fixture(scope="package")
def file(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, family) as folder:
        yield write_checkpoint(family, folder / f"{family}.safetensors")


@pytest.fixture(scope="package")
def model(file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(file)
