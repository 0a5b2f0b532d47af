"""One step, several ways: what should be equal is equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch.profiler import ProfilerActivity, profile

from dreambooth_nodes.tests.trainer.trainings import training_on
from dreambooth_nodes.trainer.model import cpu_kernels
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.precision import forward_dtype
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.encoded import encode_images, encode_prompts
from dreambooth_nodes.trainer.training.step import Training


def training(base: Base, subject: Subject, **changes: Any) -> Training:
    options = TrainOptions(**{"precision": "fp32", "rank": 4, **changes})
    prompts = encode_prompts(base, ["a olt dog", "a dog"], options.train_text_encoder)
    instance = encode_images(base, subject.photos, [0] * len(subject.photos))
    prior = encode_images(base, subject.photos[:3], [1] * 3)
    return training_on(base, (prompts, instance, prior), options)


def weights_after(step: Training) -> torch.Tensor:
    step.step(0)
    return torch.cat([parameter.detach().flatten() for parameter in step.parameters])


def test_two_accumulated_forwards_are_one_of_twice_the_batch(new_base: Callable[[], Base], subject: Subject) -> None:
    split, whole = (training(new_base(), subject, **c) for c in ({"accumulation": 2}, {"batch_size": 2}))
    first, second = split.step(0), whole.step(0)
    torch.testing.assert_close(first.total, second.total, rtol=1e-4, atol=1e-5)
    gradients = [torch.cat([p.detach().flatten() for p in step.parameters]) for step in (split, whole)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=2e-4)


def test_checkpointing_changes_no_weight(new_base: Callable[[], Base], subject: Subject) -> None:
    plain, checkpointed = (training(new_base(), subject, checkpointing=on) for on in (False, True))
    torch.testing.assert_close(weights_after(plain), weights_after(checkpointed), rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(not hasattr(LoraLayer, "_cast_input_dtype"), reason="this peft casts always")
def test_a_lora_casts_no_input_and_says_the_same(new_base: Callable[[], Base], subject: Subject) -> None:
    plain, casting = (training(new_base(), subject, precision="bf16") for _ in range(2))
    for layer in casting.objective.denoiser.modules():
        if hasattr(layer, "cast_input_dtype_enabled"):
            layer.cast_input_dtype_enabled = True
    assert _casts(plain) < _casts(casting)
    assert torch.equal(weights_after(plain), weights_after(casting))


def test_few_positions_on_a_cpu_are_arranged_otherwise_and_say_the_same(
    new_base: Callable[[], Base], subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    arranged = training(new_base(), subject)
    monkeypatch.setattr(cpu_kernels, "MAX_ATTENTION_POSITIONS", 0)
    plain = training(new_base(), subject)
    assert _attention(arranged) != _attention(plain)
    torch.testing.assert_close(weights_after(arranged), weights_after(plain), rtol=1e-4, atol=1e-6)


def _attention(step: Training) -> set[str]:
    return {type(processor).__name__ for processor in step.objective.denoiser.attn_processors.values()}


def _casts(step: Training) -> int:
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step.losses(0)
    return sum(event.count for event in seen.key_averages() if event.key == "aten::_to_copy")


def test_cached_prompts_are_what_the_text_encoder_says(base: Base) -> None:
    texts = ["a olt dog", "a dog"]
    cached, live = encode_prompts(base, texts, False), encode_prompts(base, texts, True)
    rows = [1, 0, 0]
    with torch.no_grad():
        torch.testing.assert_close(cached.rows(base, rows)["context"], live.rows(base, rows)["context"])


def test_the_loss_is_that_of_diffusers_own_classes(new_base: Callable[[], Base], subject: Subject) -> None:
    """The two terms from the equations, with diffusers' scheduler and UNet called directly."""
    from diffusers import DDPMScheduler

    from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import SCHEDULE

    base = new_base()
    contexts = [base.encode_prompts([text])["context"] for text in ("a olt dog", "a dog")]
    step = training(base, subject, prior_weight=0.5)
    (batch,), scheduler = step.batches[0], DDPMScheduler(**SCHEDULE)
    terms = []
    with torch.no_grad():
        for half, context in zip(batch.halves, contexts, strict=True):
            noisy = scheduler.add_noise(half.x, half.noise, half.timesteps)
            answer = base.denoiser(noisy, half.timesteps, encoder_hidden_states=context).sample
            terms.append(torch.nn.functional.mse_loss(answer, half.noise))
    losses = step.step(0)
    assert losses.prior is not None
    torch.testing.assert_close(losses.instance, terms[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses.prior, terms[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses.total, terms[0] + 0.5 * terms[1], rtol=1e-4, atol=1e-5)


def test_a_cpu_refuses_fp16_and_takes_what_it_does_well() -> None:
    cpu = torch.device("cpu")
    with pytest.raises(OptionError, match="fp16"):
        forward_dtype("fp16", cpu)
    assert forward_dtype("fp32", cpu) is None and forward_dtype("bf16", cpu) is torch.bfloat16
    assert forward_dtype("auto", cpu) in (None, torch.bfloat16)
