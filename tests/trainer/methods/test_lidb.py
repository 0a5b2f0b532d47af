"""LiDB: its subspaces, its two files and the numbers in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.machine_check.full_size import shapes_of
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.methods.adapters import answer, attached, options_of, randomise
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.checked_file import write_checked
from dreambooth_nodes.trainer.files.safetensors import (
    CheckpointError,
    read_metadata,
    read_shapes,
    read_tensors,
    write_tensors,
)
from dreambooth_nodes.trainer.methods.adapters import read_adapter
from dreambooth_nodes.trainer.methods.lidb.auxiliary import A_SIZE, Auxiliary, sizes
from dreambooth_nodes.trainer.methods.lidb.file import KEY, one_tensor
from dreambooth_nodes.trainer.methods.lidb.layer import LidbLayer
from dreambooth_nodes.trainer.methods.lidb.start import FIELD
from dreambooth_nodes.trainer.methods.registry import METHODS
from dreambooth_nodes.trainer.methods.start import kept_settings, require_continuable
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.personalized import PREFIX, Personalized

PLACE = ("denoiser", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
LEFT, RIGHT = (0.05500713, 0.04147363, 0.02148964), (-0.00351372, 0.01258279, 0.03027772)


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "lidb_of_sd1") as folder:
        yield write_checkpoint("sd1", folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def file(sd1: Path) -> Path:
    """A LiDB with random weights, of the seed 7, as its training saves it: a LoRA."""
    base = load_base(sd1)
    method = attached(base, options_of("lidb", seed=7))
    randomise(base)
    saved = method.file(base, method.trained(base))
    result = Personalized(sd1.with_name("lidb.safetensors"), "lidb", "olt", "dog", "ab" * 32, 10, 7)
    said = {**saved.metadata, **result.metadata(), "modelspec.thumbnail": "data:" * 1000}
    return write_tensors(saved.tensors, result.file, said)


def wanted(source: Path, base: Path, layout: Any, target: Path) -> Conversion:
    return Conversion(source=source, layout=layout, target=target, base=base, dtype="fp16")


@pytest.mark.parametrize("weight", [(320, 768), (64, 40), (96, 16, 3, 3)])
def test_auxiliary_matrices_are_orthonormal_and_a_function_of_the_seed(weight: tuple[int, ...]) -> None:
    found, (a, b) = Auxiliary.of(5, PLACE, weight), sizes(weight)
    torch.testing.assert_close(found.left.T @ found.left, torch.eye(a), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.right @ found.right.T, torch.eye(b), rtol=0, atol=1e-6)
    assert torch.equal(found.left, Auxiliary.of(5, PLACE, weight).left)
    for other in (Auxiliary.of(6, PLACE, weight), Auxiliary.of(5, ("text_encoder", PLACE[1]), weight)):
        assert (found.left - other.left).norm() > 1


def test_auxiliary_matrices_are_those_of_every_version_of_torch() -> None:
    """Numbers of torch 2.3.1; tests/matrix.py runs this on the oldest and the newest."""
    found = Auxiliary.of(5, PLACE, (320, 768))
    assert found.left[(0, 1, 319), (0, 99, 50)].tolist() == pytest.approx(LEFT, abs=1e-6)
    assert found.right[(0, 49, 20), (0, 767, 300)].tolist() == pytest.approx(RIGHT, abs=1e-6)


def test_both_files_are_one_model(file: Path, sd1: Path, tmp_path: Path) -> None:
    """The LoRA, the tensor that export makes of it, and the LoRA that it makes of that."""
    small = convert(wanted(file, sd1, "lidb", tmp_path / "small.safetensors")).path
    ((key, numbers),) = read_tensors(small).items()
    assert (key, numbers.dtype) == (KEY, torch.float16)
    said = read_metadata(small)
    assert said[f"{PREFIX}class_noun"] == "dog" and "modelspec.thumbnail" not in said
    compatible = check_applies(small, sd1)
    assert compatible.fits and compatible.matched == check_applies(file, sd1).matched
    again = convert(wanted(small, sd1, "kohya", tmp_path / "again.safetensors")).path
    assert read_metadata(again)[f"{PREFIX}method"] == "lidb"
    first, second = read_tensors(file), read_tensors(again)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        # Each of the two roundings to float16 is 2⁻¹¹ of a number at most.
        torch.testing.assert_close(second[name].float(), tensor.float(), rtol=0, atol=float(tensor.norm()) * 2**-10)
    pictures = [answer(merge_into(load_base(sd1), read_adapter(one, layers_in(sd1)))) for one in (file, small)]
    moved = (pictures[0] - answer(load_base(sd1))).norm()
    assert (pictures[0] - pictures[1]).norm() < 0.005 * moved
    for one, kind in ((file, "lora"), (small, "lidb")):
        require_continuable(one, TrainOptions(method="lidb", seed=1))
        require_continuable(one, TrainOptions(method=kind))


@pytest.mark.parametrize("form", ["lora", "small"])
def test_training_goes_on_in_the_files_own_subspaces(form: str, file: Path, sd1: Path, tmp_path: Path) -> None:
    """Whatever the run's own seed."""
    source = file if form == "lora" else convert(wanted(file, sd1, "lidb", tmp_path / "small.safetensors")).path
    base, options = load_base(sd1), options_of("lidb", seed=1, **kept_settings(source))
    method = attached(base, options, METHODS["lidb"].read_start(source, base, options))
    saved = method.file(base, method.trained(base))
    assert json.loads(saved.metadata[FIELD])["seed"] == 7
    before = read_tensors(file)
    for name, tensor in saved.tensors.items():
        torch.testing.assert_close(tensor.float(), before[name].float(), rtol=0, atol=float(before[name].norm()) / 500)


@pytest.mark.parametrize(("family", "numbers", "most"), [("sd1", 26_400, 60_000), ("toybase", 4_800, 12_000)])
def test_the_small_file_is_as_small_as_the_papers(
    family: str, numbers: int, most: int, toybase_file: Path, tmp_path: Path
) -> None:
    """The attention layers of Stable Diffusion 1.5's UNet and text encoder, and of the embedded base's UNet alone."""
    shapes = read_shapes(toybase_file) if family == "toybase" else shapes_of(family)
    layers = layers_in(ShapesOnly(family, shapes))
    named = re.compile(r".*\.(to_[qkv]|to_out\.0|[qkv]_proj|out_proj)")
    lidb: dict[str, dict[str, LidbLayer]] = {}
    for (component, name), weight in layers.places.items():
        if named.fullmatch(name) and (component == "denoiser" or family == "sd1"):
            a, b = (torch.ones(size) for size in sizes(weight))
            auxiliary = Auxiliary.of(2**53, (component, name), weight, torch.device("meta"))
            lidb.setdefault(component, {})[name] = LidbLayer(a, b, auxiliary)
    tensors, own = one_tensor(lidb)
    assert tensors[KEY].numel() == numbers
    result = Personalized(tmp_path / "x", "lidb", "olt", "a very long class noun", "ab" * 32, 100_000, 2**53)
    written = write_checked(tensors, tmp_path / "small.safetensors", {**result.metadata(), **own}, lambda *_: None)
    print(f"{family}: {written.stat().st_size} bytes")
    assert written.stat().st_size <= most


def test_files_that_are_no_whole_lidb_are_refused(file: Path, sd1: Path, tmp_path: Path) -> None:
    layers, options = layers_in(sd1), options_of("lidb")
    small = convert(wanted(file, sd1, "lidb", tmp_path / "small.safetensors")).path
    tensors, said = read_tensors(small), read_metadata(small)

    def changed(name: str, numbers: Any, **fields: Any) -> Path:
        own = {**json.loads(said[FIELD]), **fields}
        return write_tensors({KEY: numbers}, tmp_path / f"{name}.safetensors", {FIELD: json.dumps(own)})

    short = changed("short", tensors[KEY][1:].clone())
    with pytest.raises(CheckpointError, match=r"lidb \[\d+\], not \[\d+\]"):
        read_adapter(short, layers)
    assert not check_applies(short, sd1).fits
    with pytest.raises(CheckpointError, match=r"of no layer of the base: denoiser\.nowhere\.to_q"):
        read_adapter(changed("other", tensors[KEY], layers={"denoiser": {"nowhere": "to_q"}}), layers)
    with pytest.raises(CheckpointError, match="does not name its layers"):
        read_adapter(changed("nameless", tensors[KEY], layers=None), layers)
    with pytest.raises(CheckpointError, match="does not hold the seed of a LiDB"):
        read_adapter(changed("seedless", tensors[KEY], seed=None), layers)
    lora = read_tensors(file)
    # Of a layer that is larger than its subspace.
    key = next(name for name in lora if name.endswith("q_proj.lora_up.weight") and len(lora[name]) > A_SIZE)
    turned = {**lora, key: torch.roll(lora[key], 1, 0)}
    odd = write_tensors(turned, tmp_path / "turned.safetensors", read_metadata(file))
    with pytest.raises(CheckpointError, match=r"was changed after its training: .*q_proj of .* Go on from it with"):
        METHODS["lidb"].read_start(odd, load_base(sd1), options)
    plain = write_tensors(lora, tmp_path / "plain.safetensors", {})
    with pytest.raises(OptionError, match="only 'lora' can continue it"):
        require_continuable(plain, TrainOptions(method="lidb"))
    with pytest.raises(ConversionError, match="was not trained by the method 'lidb'"):
        convert(wanted(plain, sd1, "lidb", tmp_path / "new.safetensors"))
