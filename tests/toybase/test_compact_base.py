"""The compact form of the base answers as the whole checkpoint does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base

PROMPTS = ["a red car on the beach", ""]
ANSWERS: dict[str, Callable[[Base], Tensor]] = {
    "text": lambda base: base.encode_prompts(PROMPTS)["context"],
    "latents": lambda base: base.encode_images(numbers(2, 3, 64, 64).sigmoid()).mean,
    "spread": lambda base: base.encode_images(numbers(2, 3, 64, 64).sigmoid()).std.log(),
    "picture": lambda base: base.decode_latents(numbers(2, 4, 8, 8)),
    "noise": lambda base: base.predict(numbers(2, 4, 8, 8), torch.tensor([10, 900]), base.encode_prompts(PROMPTS)),
}


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def bases(toybase_file: Path) -> tuple[Base, Base]:
    return load_base(toybase_file), load_base(cached_toybase())


@pytest.mark.parametrize("answer", ANSWERS)
@torch.no_grad()
def test_it_answers_as_the_whole_one(answer: str, bases: tuple[Base, Base]) -> None:
    compact, whole = (ANSWERS[answer](base) for base in bases)
    assert compact.std() > 0
    assert (compact - whole).abs().max() < 2e-3 * whole.abs().max()


def test_it_takes_about_a_third_of_the_bytes(toybase_file: Path) -> None:
    assert toybase_file.stat().st_size < 0.35 * cached_toybase().stat().st_size
