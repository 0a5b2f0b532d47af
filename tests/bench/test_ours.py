"""Our side trains on the very pictures that theirs reads, and shows progress that can be measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.bench.contenders import OURS, our_command
from dreambooth_nodes.bench.materials import Materials, read_materials
from dreambooth_nodes.bench.measured_process import WARM_UP, measure
from dreambooth_nodes.trainer.personalized import read_personalized

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    # Imported here: it imports everything.
    from dreambooth_nodes.bench.preparation import prepare

    folder = tmp_path_factory.mktemp("materials")
    return prepare(folder, 64, "fp32")


def test_their_folders_hold_pictures_of_the_size_and_nothing_else(materials: Materials) -> None:
    for folder, count in ((materials.photos, 5), (materials.class_image_folder, materials.class_images)):
        pictures = [Image.open(path) for path in folder.iterdir()]
        assert [picture.size for picture in pictures] == [(64, 64)] * count


def test_class_images_are_the_same_for_both(materials: Materials) -> None:
    from dreambooth_nodes.bench.ours import class_priors

    theirs = [np.asarray(Image.open(path)) / 255 for path in sorted(materials.class_image_folder.iterdir())]
    ours = [photo.pixels.permute(1, 2, 0).numpy() for photo in class_priors(materials).photos()]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_our_side_trains_all_steps_and_is_measured(materials: Materials, method: str, tmp_path: Path) -> None:
    steps = WARM_UP + 3
    words = our_command(read_materials(materials.folder), method, steps, tmp_path)
    found = measure(words, steps, tmp_path / f"{OURS}.log")
    assert found.steps_per_second * found.seconds > 3
    (file,) = [path for folder in ("loras", "checkpoints") for path in (tmp_path / folder).glob("*.safetensors")]
    assert (read_personalized(file).method, read_personalized(file).steps) == (method, steps)
