"""The keys and shapes that kohya's own trainer writes for the real models are ours, in both directions.

kohya_keys.json.gz was made by running the LoRA network of kohya's sd-scripts (16 February 2026, rank 4, its default
layers) on its own UNets and transformers 4.46's text encoders of the real sizes, all on the meta device:
{family: {key: shape}}.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.machine_check.full_size import UNETS, shapes_of
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, Shapes, write_tensors
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.layouts import kohya_tensors, require_lora_of
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer, all_layers
from dreambooth_nodes.trainer.model.layers import Layers, layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly

RANK = 4
SOME = "mid_block_attentions_0_proj_in", "middle_block_1_proj_in"


@pytest.fixture(scope="module", params=UNETS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def theirs(family: str) -> Shapes:
    packed = Path(__file__).with_name("kohya_keys.json.gz").read_bytes()
    listed: dict[str, Any] = json.loads(gzip.decompress(packed))[family]
    return {key: tuple(shape) for key, shape in listed.items()}


@pytest.fixture(scope="module")
def layers(family: str) -> Layers:
    return layers_in(ShapesOnly(family, shapes_of(family)))


@pytest.fixture(scope="module")
def ours(layers: Layers) -> dict[str, Tensor]:
    """As written for a LoRA of all that "transformer" means."""
    wanted = {name: layers.family.lora_targets(name, "transformer") for name in layers.family.kohya}
    lora: dict[str, dict[str, LoraLayer]] = {}
    for (component, name), shape in layers.places.items():
        if re.fullmatch(rf".*(?:{wanted[component]})", name):
            halves = torch.zeros(RANK, *shape[1:]), torch.zeros(shape[0], RANK, *(1 for _ in shape[2:]))
            lora.setdefault(component, {})[name] = LoraLayer(*halves, 1.0)
    return kohya_tensors(lora, layers)


def test_what_we_write_has_the_keys_and_shapes_that_kohya_writes(ours: dict[str, Tensor], theirs: Shapes) -> None:
    assert {key: tuple(tensor.shape) for key, tensor in ours.items()} == theirs


def test_a_file_with_kohyas_keys_is_read_whole(layers: Layers, theirs: Shapes, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {key: torch.rand(shape, generator=generator, dtype=torch.float16) for key, shape in theirs.items()}
    read = read_lora(write_tensors(tensors, tmp_path / "theirs.safetensors", {}), layers)
    found = {layers.kohya_name((component, name)): layer for component, name, layer in all_layers(read)}
    assert len(found) * 3 == len(theirs)
    for name, layer in found.items():
        assert torch.equal(layer.down, tensors[f"{name}.lora_down.weight"])
        assert torch.equal(layer.up, tensors[f"{name}.lora_up.weight"])
        assert layer.alpha == tensors[f"{name}.alpha"].item()


def test_one_wrong_name_is_found_by_the_check_of_a_written_file(layers: Layers, theirs: Shapes) -> None:
    require_lora_of(layers, "kohya", theirs, "right")
    for right in theirs:
        wrong = right.replace("to_q", "to_queue").replace("proj_in", "proj_inn").replace("q_proj", "query_proj")
        if wrong != right and any(part in right for part in (*SOME, "_0_attn1_to_q", "layers_0_self_attn_q")):
            changed = {wrong if key == right else key: shape for key, shape in theirs.items()}
            with pytest.raises(CheckpointError, match=re.escape(wrong)):
                require_lora_of(layers, "kohya", changed, "wrong")
