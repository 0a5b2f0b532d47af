"""Memory that runs out: what would fit is said, or done."""

from __future__ import annotations

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import NewBase, other, with_options
from dreambooth_nodes.trainer.events import Event, Warned
from dreambooth_nodes.trainer.files.safetensors import read_metadata
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.out_of_memory import OutOfMemory
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize


def hungry(base: Base, images: int) -> Base:
    """The allocator itself refuses what the denoiser asks for when it is shown more images than this."""

    def allocate(module: torch.nn.Module, shown: tuple[torch.Tensor, ...]) -> None:
        if len(shown[0]) > images:
            torch.empty(1 << 60, dtype=torch.uint8)

    base.denoiser.register_forward_pre_hook(allocate)
    return base


def test_out_of_memory_says_what_would_fit(new_base: NewBase, asked: Request, store: Store) -> None:
    with pytest.raises(OutOfMemory, match=r"switch checkpointing on; set batch_size to 2 .*can't allocate"):
        personalize(hungry(new_base(), 3), with_options(asked, batch_size=4), store)


def test_a_run_that_may_fit_itself_does_and_learns_the_same(new_base: NewBase, asked: Request, store: Store) -> None:
    asked, events = with_options(asked, batch_size=4, fit_memory=True), list[Event]()
    straight, plain = personalize(new_base(), asked, other(store, "plain"))
    small, fitted = personalize(hungry(new_base(), 2), asked, store, events.append)
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert ["checkpointing" in warnings[0], "batch_size is 2" in warnings[1], "batch_size is 1" in warnings[2]] == [
        True
    ] * 3
    names = ("gradient_checkpointing", "batch_size_per_device", "gradient_accumulation_steps")
    said = [[read_metadata(result.file)[f"ss_{name}"] for name in names] for result in (straight, small)]
    assert said == [["False", "4", "1"], ["True", "1", "4"]], "a file says what it was trained with"
    torch.testing.assert_close(*([p.instance for p in run.losses()] for run in (plain, fitted)), rtol=1e-3, atol=1e-4)
