"""Optimizers by name: resumed exactly, planned as large as they are, and by the weights that are to be used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dreambooth_nodes.tests.trainer.model.families.flow import TinyFlow, write_flow
from dreambooth_nodes.tests.trainer.short_runs import DEATH, STEPS, other, same_weights, stopped_after, with_options
from dreambooth_nodes.trainer.distributed.sharding import require_shardable
from dreambooth_nodes.trainer.files.safetensors import read_metadata
from dreambooth_nodes.trainer.model import families
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.optimizers import OPTIMIZERS
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.presets import preset_named
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.averages import MovingAverage, weights_to_use
from dreambooth_nodes.trainer.training.optimizer import make_optimizer, rate_in_use, require_installed

OF_LIBRARIES = [name for name, kind in OPTIMIZERS.items() if kind.made_by]
NewFlow = Callable[[], TinyFlow]


def needs(name: str) -> None:
    """bitsandbytes is too large for the tests' own requirements, and the oldest libraries are tested without any."""
    if module := OPTIMIZERS[name].made_by.partition(":")[0]:
        pytest.importorskip(module)


@pytest.fixture
def new_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewFlow:
    monkeypatch.setattr(families, "FAMILIES", [*families.FAMILIES, TinyFlow])
    file = write_flow(tmp_path / "flow.safetensors")
    return lambda: load_base(file)  # type: ignore[return-value]


@pytest.fixture
def request_of_flow(subject: Subject) -> Request:
    options = TrainOptions(
        steps=STEPS, sample_count=0, precision="fp32", rank=2, learning_rate=1e-3, warmup_steps=1,
        schedule="constant_with_warmup", state_seconds=1e-9,
    )  # fmt: skip
    return Request(subject=subject, identifier="ohwx", options=options, name="dog")


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": name} for name in OF_LIBRARIES),
        {"ema_decay": 0.9},
        {"ema_decay": 0.9, "optimizer": "lion"},
        {"method": "dora"},
        {"method": "lokr"},
        {"method": "lidb"},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    new_flow: NewFlow, request_of_flow: Request, store: Store, changes: dict[str, Any]
) -> None:
    """And its pictures, which are drawn by the weights to use, change nothing of the training."""
    needs(changes.get("optimizer", "adamw"))
    asked = with_options(request_of_flow, **changes)
    whole, straight = personalize(new_flow(), asked, other(store, "straight"))
    drawing = with_options(asked, sample_every=2, sample_count=1)
    stopped, run = personalize(new_flow(), drawing, store, *stopped_after(DEATH))
    assert stopped.steps == DEATH and run.state.is_file()
    finished, again = personalize(new_flow(), drawing, store)
    assert same_weights(finished.file, whole.file) and not same_weights(stopped.file, whole.file)
    losses = [
        [(point.step, point.instance, point.learning_rate) for point in one.losses()] for one in (straight, again)
    ]
    assert losses[0] == losses[1]
    assert read_metadata(whole.file)["ss_optimizer"] == asked.options.optimizer_kind.kohya_name


def quadratic(name: str, steps: int = 40, **options: Any) -> tuple[nn.Parameter, torch.optim.Optimizer]:
    """A weight [96, 64] that an optimizer of the options has drawn towards 1."""
    weight = nn.Parameter(torch.randn(96, 64, generator=torch.Generator().manual_seed(0)))
    chosen = TrainOptions(optimizer=name, **{"weight_decay": 0.0, **options})
    optimizer = make_optimizer([{"params": [weight], "lr": 0.05}], chosen, torch.device("cpu"))
    for _ in range(steps):
        weight.grad = 2 * (weight.detach() - 1)
        optimizer.step()
    return weight, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_and_keeps_what_the_plan_counts(name: str) -> None:
    needs(name)
    before = (quadratic(name, steps=0)[0] - 1).square().sum()
    # Prodigy begins at a rate of 1e-6.
    weight, optimizer = quadratic(name, 300 if name == "prodigy" else 40)
    assert (weight - 1).square().sum() < 0.8 * before
    # bitsandbytes' two tables of codes are shared by all weights.
    own = [value for key, value in optimizer.state[weight].items() if isinstance(value, Tensor)]
    kept = sum(value.nbytes for key, value in optimizer.state[weight].items()
               if isinstance(value, Tensor) and key != "step" and not key.startswith("qmap"))  # fmt: skip
    assert own and kept == OPTIMIZERS[name].state_bytes(weight.shape)


def test_prodigy_finds_its_rate_whatever_the_option_says() -> None:
    needs("prodigy")
    found = [rate_in_use(quadratic("prodigy", learning_rate=rate)[1]) for rate in (1e-6, 1.0)]
    assert found[0] == found[1] > 1e-5
    preset = preset_named("balanced")
    assert preset.options("lora", "prodigy")["learning_rate"] == preset.options("lora")["learning_rate"] == 1e-4
    assert preset.options("lora", "lion")["learning_rate"] == pytest.approx(2e-5)


def test_schedule_free_weights_to_use_are_the_average_and_training_returns_bit_for_bit() -> None:
    """In training y = β·x + (1 − β)·z, and x is the average (Defazio et al., 2024, equation 3)."""
    needs("adamw_schedule_free")
    weight, optimizer = quadratic("adamw_schedule_free")
    y, z, beta = weight.detach().clone(), optimizer.state[weight]["z"], optimizer.param_groups[0]["betas"][0]
    using = weights_to_use([weight], optimizer, None)
    with using.in_place(), using.in_place():
        torch.testing.assert_close(weight.detach(), (y - (1 - beta) * z) / beta)
        assert not torch.equal(weight.detach(), y)
    assert torch.equal(weight.detach(), y)
    copied = using.copied(lambda: {"denoiser": {"w": weight.detach()}})
    torch.testing.assert_close(copied["denoiser"]["w"], (y - (1 - beta) * z) / beta)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()


def test_a_moving_average_is_that_of_the_weights_after_each_step() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average, expected = MovingAverage([weight], 0.5), torch.zeros(3)
    for step in range(1, 6):
        weight.data += 1
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    optimizer = torch.optim.SGD([weight], lr=1.0)
    with weights_to_use([weight], optimizer, average).in_place():
        torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(weight.detach(), torch.full((3,), 5.0))


def test_a_result_is_the_average_of_the_run(new_flow: NewFlow, request_of_flow: Request, store: Store) -> None:
    plain, _ = personalize(new_flow(), request_of_flow, other(store, "plain"))
    averaged, _ = personalize(new_flow(), with_options(request_of_flow, ema_decay=0.9), store)
    assert not same_weights(plain.file, averaged.file)
    assert request_of_flow.options.weight_settings.keys() == TrainOptions().weight_settings.keys()


@pytest.mark.parametrize("name", OF_LIBRARIES)
def test_a_library_that_is_not_installed_is_named_with_the_way_out(
    name: str, monkeypatch: pytest.MonkeyPatch, new_flow: NewFlow, request_of_flow: Request, store: Store
) -> None:
    kind = OPTIMIZERS[name]
    monkeypatch.setitem(sys.modules, kind.made_by.partition(":")[0].partition(".")[0], None)
    with pytest.raises(OptionError, match=rf"pip install {kind.package}` and start again, or set optimizer to 'adamw'"):
        require_installed(TrainOptions(optimizer=name))
    with pytest.raises(OptionError, match="is not installed"):
        personalize(new_flow(), with_options(request_of_flow, optimizer=name), store)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of adamw, adafactor, adamw_8bit"),
        ({"optimizer": "adamw_schedule_free", "schedule": "cosine"}, "set schedule to 'constant'"),
        ({"optimizer": "adamw_schedule_free", "ema_decay": 0.9}, "averages the weights itself"),
        ({"optimizer": "lion", "fused_backward": True}, "Lion updates all weights at once"),
        ({"optimizer": "prodigy", "method": "full", "trained_weights": "bf16"}, "Prodigy would round away"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0; it must be 0 to 0.9999"),
    ],
)
def test_what_does_not_go_with_an_optimizer_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TrainOptions(**options)


@pytest.mark.parametrize("changes", [{"optimizer": "lion"}, {"ema_decay": 0.9}])
def test_sharded_training_refuses_what_it_has_not_been_seen_to_do(changes: dict[str, Any]) -> None:
    require_shardable(TrainOptions())
    with pytest.raises(OptionError, match=f"{next(iter(changes))} is"):
        require_shardable(replace(TrainOptions(), **changes))
