"""Files that are written a piece at a time are those that the library writes at once."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

from dreambooth_nodes.trainer.files import lazy_tensors
from dreambooth_nodes.trainer.files.lazy_tensors import DTYPES, LazyTensors, TensorSpec, save_tensors, spec_of
from dreambooth_nodes.trainer.files.safetensors import read_shapes, read_tensors, write_tensors
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.source import lazy_tensors_of

SHAPES = ((2, 3), (7,), (), (0,), (1, 5, 1))


def tensors() -> dict[str, Tensor]:
    """Of every dtype and shape."""
    made = {f"{dtype} {shape}": torch.ones(shape).to(dtype) for dtype in DTYPES for shape in SHAPES}
    return {**made, "花.weight": torch.arange(6.0).view(2, 3), 'quoted "name"': torch.zeros(3)}


def the_library_writes(tensor: Tensor) -> bool:
    """An old one knows no wide unsigned integers."""
    try:
        save({"a": tensor})
    except KeyError:
        return False
    return True


@pytest.mark.parametrize("metadata", [{}, {"modelspec.title": 'my "dog", 犬'}])
def test_it_is_byte_for_byte_the_librarys_file(metadata: dict[str, str], tmp_path: Path) -> None:
    known = {key: tensor for key, tensor in tensors().items() if the_library_writes(tensor)}
    assert len(known) >= len(tensors()) - 3 * len(SHAPES)
    save_tensors(known, tmp_path / "ours", metadata)
    save_file(known, tmp_path / "theirs", metadata or None)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_views_and_tied_weights_are_written_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    views = {"turned": whole.t(), "cut": whole[1:, 2:], "tied": whole, "tied too": whole}
    found = read_tensors(write_tensors(views, tmp_path / "x.safetensors", {}))
    assert found.keys() == views.keys() and all(torch.equal(found[key], view) for key, view in views.items())


def test_no_more_than_a_piece_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_tensors, "PIECE", 4000)
    specs = {f"{i:02d}": TensorSpec(torch.float32, (i * 40,)) for i in range(30)}
    alive: list[weakref.ref[Tensor]] = []

    def read(keys: Sequence[str]) -> Mapping[str, Tensor]:
        assert not any(ref() is not None for ref in alive)
        assert len(keys) == 1 or sum(specs[key].bytes for key in keys) <= 4000
        made = {key: torch.full(specs[key].shape, float(key)) for key in keys}
        alive.extend(weakref.ref(tensor) for tensor in made.values())
        return made

    found = read_tensors(write_tensors(LazyTensors(specs, read), tmp_path / "x.safetensors", {}))
    assert len(alive) == len(specs)
    assert all(torch.equal(found[key], torch.full(kind.shape, float(key))) for key, kind in specs.items())


def test_a_tensor_that_is_not_what_was_said_leaves_no_file(tmp_path: Path) -> None:
    other = LazyTensors({"a": TensorSpec(torch.float32, (2,))}, lambda keys: {"a": torch.ones(3)})
    with pytest.raises(ValueError, match=r"'a' was said to be .*\(2,\).* is .*\(3,\)"):
        write_tensors(other, tmp_path / "x.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_a_dtype_that_no_file_holds_is_named_with_its_weight(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'phase' is torch\.complex64"):
        write_tensors({"phase": torch.ones(1, dtype=torch.complex64)}, tmp_path / "x.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_whether_a_key_is_there_needs_no_reading() -> None:
    held = LazyTensors({"a": TensorSpec(torch.float32, (2,))}, lambda keys: {})
    assert "a" in held and "b" not in held


def test_more_beside_it_is_read_from_where_it_is(base: Base, tmp_path: Path) -> None:
    own = lazy_tensors_of(base.source)
    key = next(iter(own))
    more = own.merged_with({"mark": torch.ones(1), key: torch.zeros(own.specs[key].shape)})
    file = write_tensors(more, tmp_path / "x.safetensors", {})
    assert read_shapes(file) == {**base.source.shapes, "mark": (1,)}
    expected = {**base.source.tensors(), "mark": torch.ones(1), key: torch.zeros(own.specs[key].shape)}
    assert all(torch.equal(expected[name], tensor) for name, tensor in read_tensors(file).items())
    assert spec_of(more["mark"]) == more.specs["mark"]
