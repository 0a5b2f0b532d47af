"""Merged checkpoints, diffusers folders and differences, loaded by diffusers itself: the live LoRA's answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.trainer.export.random_lora import RANK, answer, random_lora
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.layouts import Layout
from dreambooth_nodes.trainer.export.low_rank import truncated
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.atomic import next_numbered_path
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_shapes, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.weights import all_layers
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import Layers, layers_in

NewBase = Callable[[], Base]
IN_ONE_FAMILY = pytest.mark.parametrize(
    "family",
    ["sd1", *(pytest.param(family, marks=pytest.mark.slow) for family in ("sd2", "sdxl"))],
    indirect=True,
    scope="package",
)
"""Of tests of what is done with any family's weights: with others than SD 1's only in `make test-all`."""


@pytest.fixture
def lora_file(layers: Layers, tmp_path: Path) -> Path:
    return write_lora(random_lora(layers, 1.5), layers, "kohya", tmp_path / "lora.safetensors", {}, torch.float32)


def converted(source: Path, layout: Layout, base: Path | None, **settings: Any) -> Path:
    target = next_numbered_path(source.parent, layout.replace(" ", "_"), "" if "folder" in layout else ".safetensors")
    wanted = Conversion(source=source, layout=layout, target=target, base=base, **{"dtype": "fp32", **settings})
    return convert(wanted).path


def through(pipeline: Any, base: Base, file: Path | None = None) -> Tensor:
    """The answer of a base whose modules are a diffusers pipeline's, a LoRA loaded and unloaded by diffusers itself."""
    base.denoiser = pipeline.unet
    base.text_encoders = {name: getattr(pipeline, name) for name in base.text_encoders}
    if file is None:
        return answer(base)
    pipeline.load_lora_weights(file.parent, weight_name=file.name)
    found = answer(base)
    pipeline.unload_lora_weights()
    return found


def test_a_merged_checkpoint_is_the_live_lora(
    new_base: NewBase, base_file: Path, layers: Layers, lora_file: Path
) -> None:
    file = converted(lora_file, "checkpoint", base_file)
    live = answer(merge_into(new_base(), random_lora(layers, 1.5)))
    torch.testing.assert_close(answer(load_base(file, "epsilon")), live, rtol=1e-4, atol=1e-4)
    before, after = read_tensors(base_file), read_tensors(file)
    # Without the averaged copy of the old weights.
    assert before.keys() - {"model_ema.decay"} == after.keys()
    untouched = [key for key in before if key.startswith(("first_stage_model", "alphas"))]
    assert untouched and all(torch.equal(before[key].float(), after[key]) for key in untouched)


def test_diffusers_loads_the_folder_and_both_layouts_of_the_lora(
    new_base: NewBase, base_file: Path, layers: Layers, lora_file: Path
) -> None:
    base = new_base()
    plain = answer(base)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(converted(base_file, "diffusers folder", None))
    torch.testing.assert_close(through(pipeline, base), plain, rtol=1e-4, atol=1e-4)
    live = answer(merge_into(new_base(), random_lora(layers, 1.5)))
    for file in (lora_file, converted(lora_file, "diffusers", base_file)):
        torch.testing.assert_close(through(pipeline, base, file), live, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(through(pipeline, base), plain, rtol=1e-4, atol=1e-4)


@IN_ONE_FAMILY
def test_a_lora_merges_into_a_folder_that_is_a_base_again(
    new_base: NewBase, base_file: Path, layers: Layers, lora_file: Path
) -> None:
    folder = converted(lora_file, "diffusers folder", base_file)
    live = answer(merge_into(new_base(), random_lora(layers, 1.5)))
    torch.testing.assert_close(answer(load_base(folder, "epsilon")), live, rtol=1e-4, atol=1e-4)


@IN_ONE_FAMILY
def test_a_difference_comes_nearer_with_its_rank(base_file: Path, layers: Layers, tmp_path: Path) -> None:
    lora = random_lora(layers, only="denoiser")
    file = write_lora(lora, layers, "kohya", tmp_path / "lora.safetensors", {}, torch.float32)
    trained, errors = converted(file, "checkpoint", base_file), []
    for rank in (1, RANK, RANK + 2):
        target = tmp_path / f"rank_{rank}.safetensors"
        wanted = Conversion(source=trained, layout="difference", target=target, base=base_file, rank=rank, dtype="fp32")
        found = convert(wanted).error
        assert found is not None and found.worst_error >= found.error and not found.left_out_weights
        errors.append(found.error)
        # By rank: that of this one, and of one twice as large.
        assert found.by_rank[1] == pytest.approx(errors[0], rel=1e-3) and min(found.by_rank.values()) < 1e-3
        assert max(found.by_layer.values()) == found.worst_error
    assert errors[0] > 0.1 and max(errors[1:]) < 1e-3
    near = read_lora(target, layers_in(base_file))
    for component, name, layer in all_layers(lora):
        torch.testing.assert_close(near[component][name].change(), layer.change(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 4, 3, 3), (4, 1, 3, 3)])
@pytest.mark.parametrize("rank", [1, 3, 4])
def test_truncation_is_as_near_as_the_singular_values_allow(shape: tuple[int, ...], rank: int) -> None:
    change = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(change.flatten(1))
    layer, found = truncated(change, rank)
    torch.testing.assert_close(found.float(), values, rtol=1e-4, atol=1e-5)
    assert layer.rank == rank and layer.alpha == rank
    nearest = values[rank:].square().sum().sqrt()
    torch.testing.assert_close((change.flatten(1) - layer.change()).norm(), nearest, rtol=1e-4, atol=1e-5)


@IN_ONE_FAMILY
def test_what_a_difference_leaves_out_is_told(base_file: Path, layers: Layers, tmp_path: Path) -> None:
    tensors = read_tensors(base_file)
    place = "denoiser", "mid_block.resnets.0.conv1"
    weight = layers.tables["denoiser"].original_name(f"{place[1]}.weight")
    bias = layers.tables["denoiser"].original_name(f"{place[1]}.bias")
    assert weight and bias
    tensors[weight], tensors[bias] = tensors[weight].clone(), tensors[bias] + 3.0
    tensors[weight][0, 0, 0, 0] += 4.0
    trained = write_tensors(tensors, tmp_path / "trained.safetensors", {})
    wanted = Conversion(source=trained, layout="difference", target=tmp_path / "x.safetensors", base=base_file, rank=1)
    error = convert(wanted).error
    assert error is not None and error.error < 1e-3
    assert error.left_out_weights == [f"denoiser: {place[1]}.bias"]
    size = 9.0 * tensors[bias].numel()
    assert error.left_out == pytest.approx(size / (size + 16.0), rel=1e-3)


@pytest.mark.parametrize("layout", ["checkpoint", "diffusers folder", "diffusers", "kohya"])
def test_what_needs_the_base_says_so(layout: Layout, lora_file: Path) -> None:
    with pytest.raises(ConversionError, match="needs the base"):
        converted(lora_file, layout, None)


def test_what_cannot_be_says_what_can(base_file: Path, lora_file: Path) -> None:
    with pytest.raises(ConversionError, match="difference"):
        converted(base_file, "kohya", base_file)
    with pytest.raises(ConversionError, match="is a LoRA already"):
        converted(lora_file, "difference", base_file)
    with pytest.raises(ConversionError, match="needs the base"):
        converted(base_file, "difference", None)
    with pytest.raises(ConversionError, match=r"differs .* in no layer"):
        converted(base_file, "difference", base_file)
    with pytest.raises(ConversionError, match="exists"):
        Conversion(source=lora_file, layout="kohya", target=lora_file)


def test_apply_check_counts_and_lists(base_file: Path, layers: Layers, lora_file: Path, tmp_path: Path) -> None:
    found = check_applies(lora_file, base_file)
    assert found.fits and found.kind == "lora" and found.same_base is None
    assert found.matched == sum(map(len, random_lora(layers).values()))
    whole = check_applies(base_file, base_file)
    assert whole.fits and whole.matched == len(read_shapes(base_file))
    tensors = read_tensors(base_file)
    gone = next(iter(tensors))
    tensors["nobodys"] = tensors.pop(gone)
    torn = check_applies(write_tensors(tensors, tmp_path / "torn.safetensors", {}), base_file)
    assert not torn.fits and torn.missing == [gone] and torn.unmatched == ["nobodys"]
    with pytest.raises(CheckpointError, match=r"no_model"):
        check_applies(lora_file, write_tensors({"x": torch.ones(1)}, tmp_path / "no_model.safetensors", {}))
