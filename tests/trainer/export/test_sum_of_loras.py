"""Resizing and merging of LoRAs: as near as the singular values allow, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.command_line import merge, resize
from dreambooth_nodes.tests.command_line.parsed import parsed
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.export.random_lora import RANK, random_lora
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import ConversionError
from dreambooth_nodes.trainer.export.singular_values import approximated, decomposed, distance, errors_by_rank
from dreambooth_nodes.trainer.export.sum_of_loras import MERGED, Summed, SumOfLoras, sum_loras
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer, all_layers, ranks
from dreambooth_nodes.trainer.model.layers import Layers, layers_in
from dreambooth_nodes.trainer.runs.personalized import Personalized, read_personalized


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "sum_of_loras") as folder:
        yield write_checkpoint("sd1", folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def known(base: Path) -> Layers:
    return layers_in(base)


@pytest.fixture(scope="module")
def files(base: Path, known: Layers) -> tuple[Path, Path]:
    """Two LoRAs: of all layers and of the denoiser alone, of other ranks and alphas, of two subjects."""
    written = []
    for name, noun, lora in (
        ("one", "dog", random_lora(known)),
        ("two", "cat", random_lora(known, 1.5, RANK + 2, only="denoiser")),
    ):
        path = base.with_name(f"{name}.safetensors")
        result = Personalized(path, "lora", "olt", noun, "ab" * 32, 10, 0)
        written.append(write_lora(lora, known, "kohya", path, result.metadata(), torch.float32))
    return written[0], written[1]


def summed(known: Layers, target: Path, *sources: tuple[Path, float], **more: Any) -> Summed:
    return sum_loras(SumOfLoras(sources=sources, target=target, layers=known, **{"dtype": "fp32", **more}))


def random_parts(shape: tuple[int, ...]) -> list[tuple[LoraLayer, float]]:
    generator = torch.Generator().manual_seed(2)
    out, *inputs = shape
    ones = [1] * (len(inputs) - 1)
    return [
        (LoraLayer(torch.randn(rank, *inputs, generator=generator), torch.randn(out, rank, *ones, generator=generator),
                   alpha), strength)
        for rank, alpha, strength in ((3, 1.5, 0.7), (2, 2.0, -1.2))
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (4, 3), (8, 2, 3, 3)])
def test_a_sum_is_approximated_as_nearly_as_its_singular_values_allow(shape: tuple[int, ...]) -> None:
    parts = random_parts(shape)
    whole = sum(strength * layer.change().double() for layer, strength in parts)
    assert isinstance(whole, torch.Tensor)
    expected = torch.linalg.svdvals(whole)
    for rank in (1, 3, None):
        layer, values = approximated(parts, rank, torch.float64)
        torch.testing.assert_close(values[: len(expected)], expected[: len(values)], rtol=1e-6, atol=1e-6)
        least = expected[layer.rank :].norm() if layer.rank < len(expected) else torch.zeros(())
        found = (whole - layer.change().double()).norm()
        assert float(found) == pytest.approx(float(least), abs=1e-5 * float(whole.norm()))
        assert distance(parts, layer) == pytest.approx(float(found), abs=1e-5 * float(whole.norm()))
        assert layer.rank == min(rank or 5, *whole.shape, 5)


def test_errors_by_rank_end_where_nothing_is_lost() -> None:
    found = errors_by_rank([torch.tensor([2.0, 1.0, 1.0]), torch.tensor([3.0])])
    assert found == pytest.approx({1: math.sqrt(2 / 15), 2: math.sqrt(1 / 15), 4: 0.0})
    assert errors_by_rank([torch.zeros(3)]) == {1: 0.0}


def test_padding_with_zeros_is_no_rank() -> None:
    layer = LoraLayer(torch.randn(2, 6), torch.randn(5, 2), 2.0)
    again, _ = approximated([(layer.padded(4), 1.0)], None, torch.float32)
    assert again.rank == 2
    torch.testing.assert_close(again.change(), layer.change(), rtol=1e-4, atol=1e-5)
    assert decomposed(torch.zeros(5, 2, dtype=torch.float64), torch.ones(2, 6, dtype=torch.float64))[1].sum() == 0


def test_a_lower_rank_is_told_how_far_it_is(files: tuple[Path, Path], known: Layers, tmp_path: Path) -> None:
    done = summed(known, tmp_path / "small.safetensors", (files[0], 1.0), rank=1)
    before, after = read_lora(files[0], known), read_lora(done.path, known)
    assert ranks(after) == {1}
    apart = {
        f"{component}: {name}": float((layer.change() - after[component][name].change()).norm() / layer.change().norm())
        for component, name, layer in all_layers(before)
    }
    assert done.error.by_layer == pytest.approx(apart, abs=1e-5)
    assert done.error.error == pytest.approx(done.error.by_rank[1], abs=1e-5) and done.error.error > 0.1
    assert done.error.worst_error == max(done.error.by_layer.values())
    assert done.error.by_rank[4] < 1e-6
    said = read_metadata(done.path)
    assert said["ss_network_dim"] == "1" and "rank 1: relative error" in said["dreambooth.resized"]
    assert read_personalized(done.path).trigger == "olt dog"


def test_a_merge_of_any_rank_is_the_sum(files: tuple[Path, Path], known: Layers, tmp_path: Path) -> None:
    done = summed(known, tmp_path / "both.safetensors", (files[0], 0.5), (files[1], -2.0))
    one, two, both = (read_lora(path, known) for path in (*files, done.path))
    for component, name, layer in all_layers(both):
        expected = 0.5 * one[component][name].change()
        if name in two.get(component, {}):
            expected = expected - 2 * two[component][name].change()
        torch.testing.assert_close(layer.change(), expected, rtol=1e-4, atol=1e-5)
    assert {(c, n) for c, n, _ in all_layers(both)} == {(c, n) for c, n, _ in all_layers(one)}
    assert done.error.error < 1e-6 and not done.warnings
    result = read_personalized(done.path)
    assert (result.trigger, result.method) == ("olt dog, olt cat", "lora")
    assert json.loads(read_metadata(done.path)[MERGED]) == [["one.safetensors", 0.5], ["two.safetensors", -2.0]]


def test_the_commands_write_and_tell_the_same(
    files: tuple[Path, Path], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, both = tmp_path / "small", tmp_path / "both"
    assert parsed(resize, "resize", files[0], small, "--base", base, "--rank", 2) == 0
    path, summary, by_rank, by_layer = capsys.readouterr().out.splitlines()
    assert path == f"{small}.safetensors" and summary.startswith("rank 2: relative error")
    assert by_rank.startswith("least error by rank: 1: ") and by_layer.startswith("greatest error by layer: ")
    flags = ("--to", both, "--base", base, "--strengths", 1, 0.5, "--json")
    assert parsed(merge, "merge", *files, *flags) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == f"{both}.safetensors" and said["error"]["rank"] == 2 * RANK + 2
    with pytest.raises(ValueError, match=r"--strengths has 1 numbers, and there are 2 LoRAs"):
        parsed(merge, "merge", *files, "--to", tmp_path / "x", "--base", base, "--strengths", 1)


def test_what_cannot_be_summed_says_why(files: tuple[Path, Path], base: Path, known: Layers, tmp_path: Path) -> None:
    target = tmp_path / "x.safetensors"
    refused: list[tuple[type[ValueError], str, tuple[tuple[Path, float], ...], dict[str, Any]]] = [
        (ConversionError, r"rank is -1; it must be 1 or more", ((files[0], 1.0),), {"rank": -1}),
        (ConversionError, r"strength of 'one.safetensors' is 0;", ((files[0], 0.0),), {}),
        (ConversionError, r"strength of 'two.safetensors' is nan;", ((files[1], math.nan),), {}),
        (ConversionError, r"zero in every layer", ((files[0], 1.0), (files[0], -1.0)), {}),
        (CheckpointError, r"'sd1.safetensors' is a whole model, and holds no LoRA", ((base, 1.0),), {}),
        (CheckpointError, r"There is no file 'none.safetensors'", ((tmp_path / "none.safetensors", 1.0),), {}),
    ]
    for kind, said, sources, more in refused:
        with pytest.raises(kind, match=said):
            summed(known, target, *sources, **more)
        assert not target.exists()
    with pytest.raises(ConversionError, match=r"'one.safetensors' exists"):
        summed(known, files[0], (files[1], 1.0))
    word = write_tensors({"emb_params": torch.ones(1, 768)}, tmp_path / "word.safetensors", {})
    tensors = read_tensors(files[0])
    name = next(key for key in tensors if key.endswith("attn1_to_q.lora_up.weight"))
    infinite = write_tensors({**tensors, name: tensors[name] / 0}, tmp_path / "infinite.safetensors", {})
    place, side = name.removesuffix(".lora_up.weight"), len(tensors[name])
    lokr = {f"{place}.lokr_w1": torch.ones(1, 1), f"{place}.lokr_w2": torch.ones(side, side)}
    odd = write_tensors(lokr, tmp_path / "lokr.safetensors", {})
    for path, text in ((word, "is a learned word"), (infinite, r"not finite, in .*to_q"), (odd, "is a LoKr, whose")):
        with pytest.raises(ValueError, match=text):
            summed(known, target, (path, 1.0))


def test_loras_of_different_bases_are_warned_of(files: tuple[Path, Path], known: Layers, tmp_path: Path) -> None:
    said = {**read_metadata(files[1]), "dreambooth.trained_from": "cd" * 32}
    other = write_tensors(read_tensors(files[1]), tmp_path / "other.safetensors", said)
    done = summed(known, tmp_path / "x.safetensors", (files[0], 1.0), (other, 1.0))
    assert done.warnings == (
        "they were trained from different bases, and each changes this one otherwise than its own",
    )
