"""A small base of every family, written once: every kind of layer, and quick to load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dreambooth_nodes.tests.trainer.families.small import WIDTHS, write_checkpoint
from dreambooth_nodes.trainer.base import Base
from dreambooth_nodes.trainer.export.layers import Layers, layers_in
from dreambooth_nodes.trainer.families import load_base


@pytest.fixture(scope="package", params=WIDTHS)
def base_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = str(request.param)
    return write_checkpoint(name, tmp_path_factory.mktemp(name) / f"{name}.safetensors")


@pytest.fixture(scope="package")
def layers(base_file: Path) -> Layers:
    return layers_in(base_file)


@pytest.fixture
def new_base(base_file: Path) -> Callable[[], Base]:
    return lambda: load_base(base_file, "epsilon")
