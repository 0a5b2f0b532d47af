"""A small base of every family, written once: every kind of layer, and quick to load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import checkpoint_shapes, write_checkpoint
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import Layers, layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly


@pytest.fixture(scope="package", params=["sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    """Every kind of layer of SD 2 is one of SDXL's."""
    return str(request.param)


@pytest.fixture(scope="package")
def base_file(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, family) as folder:
        yield write_checkpoint(family, folder / f"{family}.safetensors")


@pytest.fixture(scope="package")
def layers(family: str) -> Layers:
    """From names and shapes alone: no weights are needed."""
    shapes = checkpoint_shapes(family)
    return layers_in(ShapesOnly(family, shapes))


@pytest.fixture
def new_base(base_file: Path) -> Callable[[], Base]:
    return lambda: load_base(base_file, "epsilon")
