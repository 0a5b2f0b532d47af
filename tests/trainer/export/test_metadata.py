"""What a file says of itself: the fields that other tools read, and nothing of the machine."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dreambooth_nodes.tests.trainer.export.random_lora import random_lora
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.metadata import run_metadata
from dreambooth_nodes.trainer.export.run_info import RunInfo
from dreambooth_nodes.trainer.files.hashes import file_sha256, short_hash
from dreambooth_nodes.trainer.files.safetensors import read_metadata
from dreambooth_nodes.trainer.model.layers import Layers
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject

MODELSPEC = ("sai_model_spec", "architecture", "implementation", "title", "date", "resolution", "prediction_type",
             "trigger_phrase", "usage_hint", "thumbnail", "hash_sha256", "description")  # fmt: skip
VERSIONS = {"sd1": "sd_v1_v", "sd2": "sd_v2_v", "sdxl": "sdxl_base_v1-0"}


class Told:
    """The facts of a base that the metadata asks for."""

    prediction = "v_prediction"

    def __init__(self, layers: Layers) -> None:
        self.kohya_version = layers.family.kohya_version


@pytest.fixture
def said(tmp_path: Path) -> RunInfo:
    photos = tuple(Photo(str(i), torch.full((3, 64, 96), i / 4), None, None) for i in range(4))
    folder = tmp_path / getpass.getuser()
    folder.mkdir()
    base = folder / "base_model.safetensors"
    base.write_bytes(bytes(2_000_000))
    return RunInfo("my dog", "ohwx", Subject(photos, "dog", 96, 64), TrainOptions(steps=7, rank=3), 5, 12, base,
                torch.rand(3, 600, 400))  # fmt: skip


def written(said: RunInfo, layers: Layers, path: Path) -> dict[str, str]:
    base: Any = Told(layers)
    metadata = {**run_metadata(said, base), "modelspec.architecture": "arch"}
    return read_metadata(write_lora(random_lora(layers), layers, "kohya", path, metadata, torch.float16))


def test_the_specifications_fields_are_there(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    found = written(said, layers, tmp_path / "a.safetensors")
    assert all(found[f"modelspec.{name}"] for name in MODELSPEC)
    assert found["modelspec.sai_model_spec"] == "1.0.0" and found["modelspec.architecture"] == "arch/lora"
    assert found["modelspec.resolution"] == "96x64" and found["modelspec.trigger_phrase"] == "ohwx dog"
    assert found["modelspec.prediction_type"] == "v"


def test_the_hash_is_that_of_all_after_the_header(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    found = written(said, layers, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    digest = hashlib.sha256(content[8 + int.from_bytes(content[:8], "little") :]).hexdigest()
    assert found["modelspec.hash_sha256"] == f"0x{digest}" and found["sshs_model_hash"] == digest


def test_the_thumbnail_is_a_small_jpeg(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    kind, _, data = written(said, layers, tmp_path / "a.safetensors")["modelspec.thumbnail"].partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:image/jpeg;base64" and picture.format == "JPEG" and picture.size == (171, 256)


def test_the_webui_finds_what_it_shows(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    found = written(said, layers, tmp_path / "a.safetensors")
    assert found["ss_base_model_version"] == VERSIONS[layers.family.family]
    assert found["ss_v2"] == str(layers.family.family == "sd2") and found["ss_v_parameterization"] == "True"
    assert found["ss_network_module"] == "networks.lora"
    assert found["ss_network_dim"] == found["ss_network_alpha"] == "3"
    # The WebUI would insert it in place of the file's name, which alone is unique.
    assert "ss_output_name" not in found
    assert found["ss_num_train_images"] == "4"
    assert json.loads(found["ss_tag_frequency"]) == {"dog": {"ohwx dog": 4}}
    assert json.loads(found["ss_dataset_dirs"])["dog"]["img_count"] == 4
    assert said.base_file is not None
    assert found["ss_sd_model_name"] == "base_model.safetensors"
    assert found["ss_new_sd_model_hash"] == file_sha256(said.base_file)
    assert found["ss_sd_model_hash"] == short_hash(said.base_file)


def test_nothing_names_the_machine(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    found = written(said, layers, tmp_path / "a.safetensors")
    found.pop("modelspec.thumbnail")
    text = " ".join(value.replace("https://", "") for value in found.values())
    for secret in (str(tmp_path), str(Path.home()), str(Path.cwd()), f"/{getpass.getuser()}", f"{getpass.getuser()}/"):
        assert secret not in text
    assert "\\" not in text


def test_another_layout_says_the_same_but_for_the_layout(said: RunInfo, layers: Layers, tmp_path: Path) -> None:
    before = written(said, layers, tmp_path / "a.safetensors")
    wanted = Conversion(
        source=tmp_path / "a.safetensors", layout="diffusers", target=tmp_path / "b.safetensors", layers=layers
    )
    after = read_metadata(convert(wanted).path)
    assert after["modelspec.implementation"] == "diffusers" and after["modelspec.architecture"] == "arch/lora"
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed <= {"modelspec.hash_sha256", "sshs_model_hash", "modelspec.implementation"}
