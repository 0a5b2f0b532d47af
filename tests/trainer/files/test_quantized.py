"""Files with weights in 8 bits beside a scale, in every spelling, are read as the numbers that they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dreambooth_nodes.trainer.files.quantized import read_weights, scaled
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.files.weight_names import weight_shapes

LAYER = "block.0.to_q"
KEY = f"{LAYER}.weight"
E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
LARGEST = {E4M3: 448.0, E5M2: 57344.0, torch.int8: 127.0}
Scales = Callable[[Tensor, float], Tensor]


def weight() -> Tensor:
    """[256, 384] with a deviation of 0.036, as in the files where an unread scale was seen."""
    return torch.randn(256, 384, generator=torch.Generator().manual_seed(0)) * 0.036


def of_all(values: Tensor, largest: float) -> Tensor:
    return values.abs().max() / largest


def of_all_in_a_list(values: Tensor, largest: float) -> Tensor:
    return of_all(values, largest).reshape(1)


def of_rows(values: Tensor, largest: float) -> Tensor:
    return values.abs().amax(1) / largest


def of_rows_kept(values: Tensor, largest: float) -> Tensor:
    return of_rows(values, largest)[:, None]


def of_blocks(values: Tensor, largest: float) -> Tensor:
    """musubi-tuner's: [out, blocks of 64, 1]."""
    return values.reshape(256, 6, 64).abs().amax(2, keepdim=True) / largest


def of_tiles(values: Tensor, largest: float) -> Tensor:
    """128 x 128, as large language models are kept."""
    return values.reshape(2, 128, 3, 128).abs().amax((1, 3)) / largest


def quantised(values: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if scale.ndim == 3:
        whole = scale.expand(256, 6, 64).reshape(256, 384)
    elif scale.shape == (2, 3):
        whole = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)
    else:
        whole = scale if scale.numel() == 1 else scale.reshape(-1, 1)
    divided = values / whole
    return (divided.round() if dtype == torch.int8 else divided).to(dtype)


def older(values: Tensor, scale: Tensor, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, str]]:
    tensors = {KEY: quantised(values, scale, dtype), f"{LAYER}.scale_weight": scale}
    return {**tensors, "scaled_fp8": torch.zeros(2, dtype=dtype), f"{LAYER}.scale_input": torch.tensor(2.0)}, {}


def newer(values: Tensor, scale: Tensor, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, str]]:
    said = json.dumps({"format": FORMATS[dtype], "full_precision_matrix_mult": True}).encode()
    tensors = {KEY: quantised(values, scale, dtype), f"{LAYER}.weight_scale": scale}
    return {**tensors, f"{LAYER}.comfy_quant": torch.tensor(list(said), dtype=torch.uint8)}, {}


def newer_in_the_header(values: Tensor, scale: Tensor, dtype: torch.dtype) -> tuple[dict[str, Tensor], dict[str, str]]:
    """With the bytes of the values as unsigned ones."""
    tensors = {KEY: quantised(values, scale, dtype).view(torch.uint8), f"{LAYER}.weight_scale": scale}
    layers = {LAYER: {"format": FORMATS[dtype]}}
    return tensors, {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}


FORMATS = {E4M3: "float8_e4m3fn", E5M2: "float8_e5m2", torch.int8: "int8_tensorwise"}
ERROR = {E4M3: 0.04, E5M2: 0.08, torch.int8: 0.03}
"""Of the values' deviation, at most: what the formats' own rounding makes."""


@pytest.mark.parametrize("written", [older, newer, newer_in_the_header])
@pytest.mark.parametrize("scales", [of_all, of_all_in_a_list, of_rows, of_rows_kept, of_blocks, of_tiles])
@pytest.mark.parametrize("dtype", [E4M3, E5M2, torch.int8])
def test_a_scale_is_multiplied_in(
    written: Callable[[Tensor, Tensor, torch.dtype], tuple[dict[str, Tensor], dict[str, str]]],
    scales: Scales, dtype: torch.dtype, tmp_path: Path,
) -> None:  # fmt: skip
    tensors, metadata = written(weight(), scales(weight(), LARGEST[dtype]), dtype)
    plain = {"norm.weight": torch.ones(3), "norm.bias": torch.zeros(3, dtype=torch.bfloat16)}
    file = write_tensors({**tensors, **plain}, tmp_path / "a.safetensors", metadata)
    found = read_weights(file)
    assert found.keys() == weight_shapes(file).keys() == {KEY, *plain}
    assert {key: found[key].dtype for key in plain} == {key: tensor.dtype for key, tensor in plain.items()}
    assert found[KEY].dtype == torch.float16
    assert (found[KEY].float() - weight()).std() < ERROR[dtype] * 0.036
    # By its name alone too, although the scale's name begins otherwise.
    assert torch.equal(read_weights(file, KEY)[KEY], found[KEY])


@given(rows=st.integers(1, 6), blocks=st.integers(1, 4), width=st.integers(1, 5), data=st.data())
def test_blocks_of_a_row_have_their_own_scale(rows: int, blocks: int, width: int, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 99))
    values = torch.randn(rows, blocks * width, generator=torch.Generator().manual_seed(seed))
    scale = torch.rand(rows, blocks, 1, generator=torch.Generator().manual_seed(seed + 1))
    found = scaled(values, scale)
    wanted = (values.reshape(rows, blocks, width) * scale).reshape(rows, blocks * width)
    assert found is not None
    # As many scales as rows and no more are one for each row.
    torch.testing.assert_close(found, wanted)


def test_a_convolutions_channels_have_their_own_scale() -> None:
    values, scale = torch.ones(4, 3, 3, 3), torch.arange(4.0)
    for shape in ((4,), (4, 1), (4, 1, 1, 1)):
        found = scaled(values, scale.reshape(shape))
        assert found is not None and torch.equal(found[:, 0, 0, 0], scale)


def test_what_fp16_cannot_hold_becomes_fp32(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.full((2, 2), 448.0).to(E4M3), "a.scale_weight": torch.tensor(1000.0)}
    found = read_weights(write_tensors(tensors, tmp_path / "a.safetensors", {}))["a.weight"]
    assert found.dtype == torch.float32 and torch.equal(found, torch.full((2, 2), 448_000.0))


def test_weights_in_8_bits_without_a_scale_are_the_numbers_themselves(tmp_path: Path) -> None:
    tensors = {"a.weight": weight().to(E4M3), "scaled_fp8": torch.zeros(0)}
    found = read_weights(write_tensors(tensors, tmp_path / "a.safetensors", {}))
    assert found.keys() == {"a.weight"} and found["a.weight"].dtype == E4M3


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"a.weight": torch.zeros(4, 4), "a.weight_scale_2": torch.ones(1)}, "NVFP4"),
        ({"a.weight": torch.zeros(8, dtype=torch.uint8), "a.weight.absmax": torch.ones(1)}, r"bitsandbytes \(4 bits\)"),
        ({"a.weight": torch.zeros(4, 4, dtype=torch.int8), "a.SCB": torch.ones(4)}, r"bitsandbytes \(8 bits\)"),
        ({"a.qweight": torch.zeros(4, 4, dtype=torch.int32), "a.wscales": torch.ones(4)}, "GPTQ"),
        ({"a.weight._data": torch.zeros(4, 4, dtype=torch.int8), "a.weight._scale": torch.ones(4, 1)}, "quanto"),
        ({"a.weight": torch.zeros(4, 4).to(E4M3), "a.weight_scale": torch.ones(3)}, r"a\.weight.*\[4, 4\].*\[3\]"),
        ({"b.weight": torch.zeros(4, 4), "a.scale_weight": torch.ones(1)}, r"a\.scale_weight: scales without weights"),
    ],
)
def test_what_is_not_read_is_named_with_the_way_out(tensors: dict[str, Tensor], said: str, tmp_path: Path) -> None:
    file = write_tensors(tensors, tmp_path / "a.safetensors", {})
    with pytest.raises(CheckpointError, match=rf"a\.safetensors.*{said}"):
        read_weights(file)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"format": "nvfp4"}, "nvfp4"),
        ({"format": "mxfp8"}, "mxfp8"),
        ({"format": "int8_tensorwise", "convrot": True}, "int8_tensorwise with rotated weights"),
    ],
)
def test_a_format_that_is_not_read_is_named(said: dict[str, object], kind: str, tmp_path: Path) -> None:
    text = torch.tensor(list(json.dumps(said).encode()), dtype=torch.uint8)
    tensors = {"a.weight": torch.zeros(4, 4, dtype=torch.int8), "a.weight_scale": torch.ones(1), "a.comfy_quant": text}
    with pytest.raises(CheckpointError, match=rf"1 layers as {kind}.*fp16, bf16 or fp32"):
        read_weights(write_tensors(tensors, tmp_path / "a.safetensors", {}))
