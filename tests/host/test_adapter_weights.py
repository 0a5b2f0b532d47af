"""ComfyUI's own loader reads every key of our adapters' files, and makes the very weights of our own definitions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.demo.environment import comfyui_folder, comfyui_python
from dreambooth_nodes.machine_check.full_size import shapes_of
from dreambooth_nodes.trainer.files.safetensors import read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.dora.layer import DoraLayer
from dreambooth_nodes.trainer.methods.lidb.auxiliary import Auxiliary
from dreambooth_nodes.trainer.methods.lidb.layer import LidbLayer
from dreambooth_nodes.trainer.methods.lokr.layer import LokrLayer
from dreambooth_nodes.trainer.methods.lokr.module import new_shapes
from dreambooth_nodes.trainer.methods.lora.layouts import kohya_tensors
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer
from dreambooth_nodes.trainer.model.layers import Layers, Place, layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly

SCRIPT = Path(__file__).with_name("adapter_weights.py")
STRENGTHS = (0.5, 1.0)
FAMILIES = ("sd1", "sdxl")
KINDS = ("lora", "dora", "lokr", "lokr_whole", "lidb")
LAYERS = ("attn1.to_q", "attn2.to_k", "to_out.0", "proj_in", "conv1", "time_emb_proj", "ff.net.2", "q_proj", "fc2")
ALPHA, RANK, CONV_RANK = 2.0, 4, 2


def chosen(layers: Layers) -> list[Place]:
    """The first layer of every kind, in every component."""
    found = {(component, end): (component, name) for component, name in reversed(layers.places) for end in LAYERS
             if name.endswith(end)}  # fmt: skip
    return list(found.values())


def random_layer(kind: str, place: Place, weight: Tensor, generator: torch.Generator) -> Any:
    """One layer's part of an adapter, large enough to be seen."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / 4

    if kind.startswith("lokr"):
        shapes = new_shapes(weight.shape, 10_000 if kind == "lokr_whole" else RANK, 0)
        first, *second = (normal(*shape) for shape in shapes.values())
        return LokrLayer(first, tuple(second), ALPHA)  # type: ignore[arg-type]
    if kind == "lidb":
        auxiliary = Auxiliary.of(0, place, weight.shape)
        return LidbLayer(normal(auxiliary.left.shape[1]), 4 * normal(auxiliary.right.shape[0]), auxiliary)
    rank = CONV_RANK if weight.ndim == 4 and weight.shape[-1] > 1 else RANK
    ones = (1,) * (weight.ndim - 2)
    lora = LoraLayer(normal(rank, *weight.shape[1:]), normal(weight.shape[0], rank, *ones), ALPHA * rank / RANK)
    magnitude = torch.linalg.vector_norm(weight, dim=[0, *range(2, weight.ndim)], keepdim=True)
    return DoraLayer(lora, magnitude * (1 + normal(*magnitude.shape))) if kind == "dora" else lora


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], tuple[Path, Any, Any]]]:
    """{(family, kind): (file, {kohya's name: layer's part}, {kohya's name: weight})}, of the real models' sizes."""
    folder, found, asked = tmp_path_factory.mktemp("adapters"), {}, []
    for family in FAMILIES:
        shapes, generator = shapes_of(family), torch.Generator().manual_seed(0)
        layers = layers_in(ShapesOnly(family, shapes))
        places = chosen(layers)
        weights = {layers.kohya_name(one): torch.randn(layers.places[one], generator=generator) / 8 for one in places}
        for kind in KINDS:
            parts = {one: random_layer(kind, one, weights[layers.kohya_name(one)], generator) for one in places}
            adapter: dict[str, dict[str, Any]] = {}
            for (component, name), part in parts.items():
                adapter.setdefault(component, {})[name] = part
            tensors = kohya_tensors(adapter, layers, torch.float32)
            file = write_tensors(tensors, folder / f"{family}_{kind}.safetensors", {})
            found[family, kind] = file, {layers.kohya_name(one): part for one, part in parts.items()}, weights
        file = write_tensors(weights, folder / f"{family}.safetensors", {})
        files = [str(found[family, kind][0]) for kind in KINDS]
        asked.append({"shapes": shapes, "weights": str(file), "adapters": files})
    (folder / "unread.json").write_text(json.dumps(of_the_host(asked)), encoding="utf-8")
    yield found


def of_the_host(asked: list[dict[str, Any]]) -> dict[str, list[str]]:
    begin = "import runpy, sys; sys.path.insert(0, '.'); sys.argv = ['', '--cpu']"
    run = f"{begin}; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    answer = subprocess.run(
        [str(comfyui_python() or sys.executable), "-c", run], cwd=comfyui_folder(),
        input=json.dumps(asked), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    return dict(json.loads(answer.stdout[answer.stdout.index("{") :]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_host_makes_the_same_weights(family: str, kind: str, adapters: dict[tuple[str, str], Any]) -> None:
    file, parts, weights = adapters[family, kind]
    assert json.loads((file.parent / "unread.json").read_text(encoding="utf-8"))[str(file)] == []
    assert len(parts) >= len(LAYERS)
    for strength in STRENGTHS:
        theirs = read_tensors(Path(f"{file}.{strength}"))
        assert theirs.keys() == parts.keys()
        ours = {name: part.merged(weights[name], strength) for name, part in parts.items()}
        apart = {name: float((theirs[name] - ours[name]).norm() / ours[name].norm()) for name in ours}
        moved = min(float((ours[name] - weights[name]).norm() / weights[name].norm()) for name in ours)
        print(f"{family} {kind} at {strength}: {max(apart.values()):.1e} apart, moved by {moved:.2f} or more")
        assert max(apart.values()) < 1e-6 and moved > 1e-2
