"""Levers for memory: what each saves, and that the training is the same within what its rounding allows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dreambooth_nodes.tests.trainer.trainings import training_on
from dreambooth_nodes.trainer.events import Step
from dreambooth_nodes.trainer.memory.eight_bit import EightBitConv2d, EightBitLinear, quantise, restored
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.session.resume_state import restore, write_state
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.adafactor import Adafactor, random_bits, stochastically_rounded
from dreambooth_nodes.trainer.training.encoded import EncodedImages, EncodedPrompts, encode_images, encode_prompts
from dreambooth_nodes.trainer.training.step import Training

Encoded = tuple[EncodedPrompts, EncodedImages, EncodedImages]
New = Callable[..., Training]
STEPS = 4
SIDE = 4
"""Of the latents in bf16: a processor without it takes some seconds for a step of the whole ones."""
BF16 = {"precision": "bf16"}
FULL = {"method": "full", "learning_rate": 1e-4, "optimizer": "adafactor"}
LEVERS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    # Name: plain options, what the lever changes, and how far a step's loss may be from the plain one's, relatively.
    "checkpointing": ({"precision": "fp32"}, {"checkpointing": True}, 1e-5),
    "base in 8 bits": ({"precision": "fp32"}, {"base_in_8_bits": True}, 2e-3),
    "base in 8 bits, bf16": (BF16, {"base_in_8_bits": True}, 1e-2),
    "base in 8 bits, checkpointing": (BF16, {"base_in_8_bits": True, "checkpointing": True}, 1e-2),
    "fused backward": ({**FULL, **BF16, "max_grad_norm": 1e6}, {"fused_backward": True}, 1e-5),
    "weights in bf16": ({**FULL, **BF16}, {"trained_weights": "bf16"}, 5e-3),
    "all for a full training": (
        {**FULL, **BF16},
        {"trained_weights": "bf16", "fused_backward": True, "checkpointing": True},
        1e-2,
    ),
    "adafactor": ({**FULL, "precision": "fp32", "optimizer": "adamw"}, {"optimizer": "adafactor"}, 3e-2),
}


@pytest.fixture(scope="module")
def embedded(toybase_file: Path) -> Base:
    """The embedded base, for what a base has to have learned or to be of some size for."""
    return load_base(toybase_file)


@pytest.fixture(scope="module")
def encoded(base: Base, subject: Subject) -> Encoded:
    return encode(base, subject)


def encode(base: Base, subject: Subject) -> Encoded:
    prompts = encode_prompts(base, ["a olt dog", "a dog"], False)
    instance = encode_images(base, subject.photos, [0] * len(subject.photos))
    return prompts, instance, encode_images(base, subject.photos[:3], [1] * 3)


def cropped(images: EncodedImages) -> EncodedImages:
    """The middle of their latents."""
    middle = slice(4 - SIDE // 2, 4 + SIDE // 2)
    mean, std = ([tensor[..., middle, middle] for tensor in part] for part in (images.mean, images.std))
    return replace(images, mean=mean, std=std)


@pytest.fixture
def training(base: Base, encoded: Encoded) -> New:
    return trainings_on(base, encoded)


@pytest.fixture
def embedded_training(embedded: Base, subject: Subject) -> New:
    return trainings_on(embedded, encode(embedded, subject))


def trainings_on(base: Base, encoded: Encoded) -> New:
    """On a copy of denoiser and text encoders: the VAE is shared."""

    def new(**changes: Any) -> Training:
        options = TrainOptions(**{"rank": 4, "learning_rate": 1e-3, "memory": "off", **changes})
        own = copy.copy(base)
        own.denoiser = copy.deepcopy(base.denoiser)
        # Their weights go to the file, and the shared base keeps its own.
        own.text_encoders = copy.deepcopy(base.text_encoders)
        prompts, *images = encoded
        instance, prior = map(cropped, images) if options.precision == "bf16" else images
        return training_on(own, (prompts, instance, prior), options)

    return new


def curve(run: Training, steps: int = STEPS) -> torch.Tensor:
    return torch.stack([run.step(index).total.detach() for index in range(steps)])


@pytest.mark.parametrize("lever", LEVERS)
def test_the_loss_curve_is_the_plain_ones_within_the_levers_rounding(training: New, lever: str) -> None:
    plain, change, tolerance = LEVERS[lever]
    expected = curve(training(**plain))
    found = curve(training(**{**plain, **change}))
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)


def test_a_lora_over_8_bits_learns(embedded_training: New) -> None:
    run = embedded_training(base_in_8_bits=True, precision="fp32", prior_weight=0.0)
    before = torch.stack([run.losses(i).instance for i in range(100, 108)]).mean()
    curve(run, 12)
    after = torch.stack([run.losses(i).instance for i in range(100, 108)]).mean()
    assert after < 0.97 * before


def nbytes(module: nn.Module) -> int:
    return sum(t.nbytes for t in [*module.parameters(), *module.buffers()])


def test_8_bits_take_about_half_of_bf16(embedded: Base) -> None:
    denoiser = copy.deepcopy(embedded.denoiser).to(torch.bfloat16)
    plain = nbytes(denoiser)
    quantise(denoiser, torch.bfloat16, torch.device("cpu"))
    assert 0.5 < nbytes(denoiser) / plain < 0.52


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", [nn.Linear(512, 256), nn.Conv2d(128, 64, 3, stride=2, padding=1)])
def test_a_layer_in_8_bits_answers_and_goes_back_as_its_restored_weight(layer: Any, dtype: torch.dtype) -> None:
    layer = layer.requires_grad_(False)
    eight = EightBitLinear(layer, dtype) if isinstance(layer, nn.Linear) else EightBitConv2d(layer, dtype)
    worst = (restored(eight.weight, eight.scale).float() - layer.weight).abs() / eight.scale.float()
    assert worst.max() < (0.51 if dtype == torch.float32 else 0.76), "half a level, and bf16's own rounding"
    plain = type(layer).__call__
    like = layer.to(dtype)
    like.weight = nn.Parameter(restored(eight.weight, eight.scale), requires_grad=False)
    shape = (3, 512) if isinstance(layer, nn.Linear) else (2, 128, 9, 8)
    shown = [torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    for x in shown:
        x.requires_grad_(True)
    answers = [eight(shown[0]), plain(like, shown[1])]
    for answer in answers:
        answer.square().sum().backward()
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(shown[0].grad, shown[1].grad)


def test_8_bits_keep_no_weight_for_the_backward() -> None:
    layer = EightBitLinear(nn.Linear(512, 512).requires_grad_(False), torch.float32)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer(torch.randn(2, 512, requires_grad=True))
    assert {t.dtype for t in kept if t.numel() == 512 * 512} == {torch.int8}


def test_a_fused_backward_keeps_no_gradient_of_another_layer(training: New) -> None:
    run = training(**FULL, **BF16, trained_weights="bf16", fused_backward=True)
    most = 0

    def count(_: nn.Parameter) -> None:
        nonlocal most
        most = max(most, sum(p.grad is not None for p in run.parameters))

    for parameter in run.parameters:
        parameter.register_post_accumulate_grad_hook(count)
    run.step(0)
    assert most <= 3
    assert run.gradient_norm > 0


def test_stochastic_rounding_is_right_on_average_and_leaves_what_is_exact() -> None:
    source = torch.Generator().manual_seed(0)
    value = torch.full((100_000,), 1 + 2**-10)
    rounded = stochastically_rounded(value.clone(), random_bits(value.shape, source)).float()
    assert set(rounded.tolist()) == {1.0, 1 + 2**-7}
    assert abs(rounded.mean() - value[0]) < 1e-4
    exact = torch.randn(1000, generator=source).bfloat16()
    assert torch.equal(stochastically_rounded(exact.float(), random_bits(exact.shape, source)), exact)


def test_updates_below_the_last_bit_add_up_in_bf16() -> None:
    """AdamW or a plain cast would leave such weights where they are for ever."""
    weight = nn.Parameter(torch.ones(64, 64, dtype=torch.bfloat16))
    optimizer = Adafactor([{"params": [weight], "lr": 1e-5}], 0.0, seed=0)
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert abs(weight.float().mean() - (1 - 100 * 1e-5)) < 2e-4


def test_adafactors_state_is_next_to_nothing(embedded_training: New) -> None:
    run = embedded_training(**FULL, precision="fp32")
    run.step(0)
    states = sum(t.nbytes for state in run.optimizer.state.values() for t in state.values())
    assert states < 0.01 * sum(p.nbytes for p in run.parameters)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "full", "base_in_8_bits": True}, "base_in_8_bits"),
        ({"trained_weights": "bf16", "optimizer": "adafactor"}, "method 'lora'"),
        ({"method": "full", "trained_weights": "bf16"}, "adafactor"),
        ({"fused_backward": True}, "adafactor"),
        ({**FULL, "fused_backward": True, "accumulation": 2}, "accumulation is 2"),
        ({**FULL, "fused_backward": True, "precision": "fp16"}, "precision"),
    ],
)
def test_levers_that_do_not_fit_are_refused_with_the_way_out(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TrainOptions(**options)


def test_weights_in_bf16_need_a_forward_in_bf16(training: New) -> None:
    with pytest.raises(OptionError, match="float32 here: set precision to 'bf16'"):
        training(**FULL, trained_weights="bf16", precision="fp32")


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "fp32", "base_in_8_bits": True},
        {**FULL, **BF16, "trained_weights": "bf16", "fused_backward": True},
    ],
    ids=["lora", "full"],
)
def test_a_run_goes_on_from_its_state_bit_for_bit(training: New, options: dict[str, Any], tmp_path: Path) -> None:
    straight, stopped, again = (training(**options) for _ in range(3))
    for index in range(3):
        straight.step(index)
    stopped.step(0)
    stopped.step(1)
    points = [Step(step, 3, 1.0, None, 1e-4, 1.0, 0.0, 1.0) for step in (1, 2)]
    write_state(tmp_path / "state.safetensors", "key", stopped, points)
    restore(tmp_path / "state.safetensors", "key", again)
    again.step(2)
    for one, other in zip(straight.parameters, again.parameters, strict=True):
        assert torch.equal(one, other)
