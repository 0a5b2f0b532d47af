"""A step never waits for the device: on "meta" there is no value to wait for, and what would wait is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.tests.trainer.trainings import images_of, training_on
from dreambooth_nodes.trainer.memory.footprint import checkpoints_on_meta
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.source import META
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.training.encoded import EncodedImages, encode_prompts

MAY_GO_OVER = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class Lists(TorchFunctionMode):
    """Notes an index that is a list of the host's."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.__getitem__, Tensor.__setitem__) and _has_list(args[1]):
            self.seen.append(f"{func.__name__} by a list")
        return func(*args, **(kwargs or {}))


class Waits(TorchDispatchMode):
    """Notes what hands a tensor of the host to the device and waits until it has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        leaves = [leaf for leaf in tree_leaves((args, kwargs, answer)) if isinstance(leaf, Tensor)]
        devices = {leaf.device.type for leaf in leaves if leaf.ndim or func in MAY_GO_OVER}
        if len(devices) > 1 and not (func in MAY_GO_OVER and (kwargs or {}).get("non_blocking")):
            self.seen.append(str(func))
        return answer


@contextmanager
def waits() -> Iterator[list[str]]:
    """What a block waits for, once it has ended."""
    seen: list[str] = []
    with Lists() as lists, Waits() as copies:
        yield seen
    seen.extend([*lists.seen, *copies.seen])


def _has_list(index: Any) -> bool:
    return isinstance(index, list) or (isinstance(index, tuple) and any(isinstance(part, list) for part in index))


def on_meta(base: Base, count: int, prompt: int) -> EncodedImages:
    mean = torch.zeros(count, 4, 8, 8, device=META)
    frames = base.frame_conditioning([Frame.whole(64, 64)] * count)
    told = {name: rows.to(META) for name, rows in frames.items()}
    return images_of(mean, torch.ones_like(mean), prompt, torch.ones_like(mean[:, :1]), told)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("family", ["sd1", pytest.param("sd2", marks=pytest.mark.slow), "sdxl"])
def test_a_step_never_waits_for_the_device(family: str, method: str, tmp_path: Path) -> None:
    base = load_base(write_checkpoint(family, tmp_path / "base.safetensors"))
    options = TrainOptions(method=method, precision="fp32", batch_size=2, snr_gamma=5.0, checkpointing=True)  # type: ignore[arg-type]
    prompts = encode_prompts(base, ["a olt dog", "a dog"], False)
    base.freeze()
    base.to(META)
    assert prompts.conditioning is not None
    prompts.conditioning.update({name: rows.to(META) for name, rows in prompts.conditioning.items()})
    training = training_on(base, (prompts, on_meta(base, 5, 0), on_meta(base, 3, 1)), options)
    with waits() as seen, checkpoints_on_meta():
        training.step(0)
    assert not seen


def test_an_index_from_the_host_is_seen() -> None:
    with waits() as seen:
        torch.zeros(3, 2, device=META)[[0, 2]]
        torch.zeros(3).to(META)
    assert len(seen) == 2
