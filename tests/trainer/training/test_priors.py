"""The priors without class images, against their equations by hand on models of two parameters, and on the base."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dreambooth_nodes.tests.trainer.short_runs import NewBase, with_options
from dreambooth_nodes.trainer.methods.lora.change import squared_factors, squared_product
from dreambooth_nodes.trainer.methods.registry import METHODS
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.choices import MethodName, PriorName
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.session.setup import build_training, encode_request
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.loss import SCALE, Examples, Losses, dreambooth_loss, with_change
from dreambooth_nodes.trainer.training.step import Training

LAMBDA = 0.7
COMPARE: PriorName = "compare with the base"
CLOSE: PriorName = "stay close to the base"
FACTORS: PriorName = "stay close to the base, by factors"


class Straight:
    """A noise process without noise: z = x, and the target is x."""

    def add_noise(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return x

    def target(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return x


def examples(*values: float) -> Examples:
    x = torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)
    return Examples(x, torch.zeros_like(x), torch.zeros(len(x)))


def test_comparing_with_the_base_is_its_equation_on_a_model_of_two_parameters() -> None:
    """ε_θ(z) = a·z + b, and the base is a₀·z + b₀."""
    a, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.5, 0.25))
    instance, prior = examples(1.0, 2.0), examples(-1.0, 3.0)
    losses = dreambooth_loss(
        lambda z, t: a * z + b,
        Straight(),  # type: ignore[arg-type]
        instance,
        prior,
        LAMBDA,
        base_answer=lambda z, t: 0.5 * z - 1.0,
    )
    # Differences: (0.5·z + 0.25)² on the photos; (1·z + 1.25)² on the photos under the class prompt.
    on_photos, against_base = (0.75**2 + 1.25**2) / 2, (0.25**2 + 4.25**2) / 2
    assert float(losses.instance) == pytest.approx(on_photos)
    assert losses.prior is not None and float(losses.prior) == pytest.approx(against_base)
    assert float(losses.total) == pytest.approx(on_photos + LAMBDA * against_base)
    losses.total.backward()
    by_hand_a = 0.75 * 1 + 1.25 * 2 + LAMBDA * (0.25 * -1 + 4.25 * 3)
    by_hand_b = 0.75 + 1.25 + LAMBDA * (0.25 + 4.25)
    assert a.grad is not None and b.grad is not None
    assert float(a.grad) == pytest.approx(by_hand_a) and float(b.grad) == pytest.approx(by_hand_b)


@pytest.mark.parametrize("by_factors", [False, True])
def test_staying_close_is_its_equation_on_a_lora_of_two_parameters(by_factors: bool) -> None:
    """W + s·b·a: ‖Δ‖² is (s·b·a)², or a² + b² of the factors."""
    a, b, scale = torch.tensor([[3.0]], requires_grad=True), torch.tensor([[0.5]], requires_grad=True), 2.0
    change = (squared_factors if by_factors else squared_product)(a, b, scale)
    assert float(change) == pytest.approx(9.25 if by_factors else 9.0)
    fidelity = torch.tensor(0.1)
    losses = with_change(Losses(fidelity, None, fidelity), change, LAMBDA, share=0.5)
    assert losses.prior is not None and float(losses.prior) == pytest.approx(0.5 * SCALE * float(change))
    assert float(losses.total) == pytest.approx(0.1 + LAMBDA * 0.5 * SCALE * float(change))
    losses.total.backward()
    slopes = (2 * 3.0, 2 * 0.5) if by_factors else (2 * 4 * 0.25 * 3.0, 2 * 4 * 9.0 * 0.5)
    for factor, slope in zip((a, b), slopes, strict=True):
        assert factor.grad is not None and float(factor.grad) == pytest.approx(LAMBDA * 0.5 * SCALE * slope, rel=1e-5)


def begun(base: Base, asked: Request, method: MethodName, prior: PriorName, **changes: object) -> Training:
    request = with_options(asked, method=method, prior=prior, learning_rate=1e-3, warmup_steps=0, **changes)
    encoded = encode_request(base, request, lambda: False)
    own = METHODS[method]()
    own.attach(base, request.options)
    return build_training(base, own, request.options, encoded)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_base_is_compared_with_as_it_was(method: MethodName, new_base: NewBase, asked: Request) -> None:
    base = new_base()
    training = begun(base, asked, method, COMPARE)
    first = training.losses(0)
    assert first.prior is not None and float(first.prior) < 1e-9 and float(first.instance) > 0.01
    # The photos' latents, under the class prompt.
    (batch,) = training.batches[0]
    assert len(batch.prior) == len(batch.instance) and batch.prompts[0] != batch.prompts[1]
    training.step(0)
    prompted = training.objective.prompts.rows(base, batch.prompts[1:])
    z = base.noise_process.add_noise(batch.prior.x, batch.prior.noise, batch.prior.timesteps)
    fresh = new_base()
    with torch.no_grad(), training.objective.method.untrained(base) as before:
        kept = before.predict(z, batch.prior.timesteps, prompted)
        expected = fresh.predict(z, batch.prior.timesteps, prompted)
        now = base.predict(z, batch.prior.timesteps, prompted) if method == "full" else None
    torch.testing.assert_close(kept, expected, rtol=1e-4, atol=1e-5)
    now = base.predict(z, batch.prior.timesteps, prompted).detach() if now is None else now
    second = training.losses(0)
    assert second.prior is not None
    torch.testing.assert_close(second.prior, (now - expected).square().mean(), rtol=1e-3, atol=1e-8)
    assert float(second.prior) > 0


def test_the_base_is_compared_with_on_photos_of_several_sizes(new_base: NewBase, asked: Request) -> None:
    """Each forward has photos of one size, and as prior examples photos of the same size."""
    base, photos = new_base(), asked.subject.photos
    large = [replace(photo, pixels=photo.pixels.repeat(1, 2, 3)[:, :128]) for photo in photos]
    wide = [replace(photo, pixels=photo.pixels[:, :112, :144].contiguous()) for photo in large[:2]]
    square = [replace(photo, pixels=photo.pixels[..., :128].contiguous()) for photo in large[2:]]
    subject = Subject((*wide, *square), "dog", 128, 128, buckets=True)
    request = replace(asked, subject=subject, priors=None)
    training = begun(base, request, "lora", COMPARE, batch_size=len(photos))
    forwards = training.batches[0]
    assert len(forwards) == 2 and sum(len(one.instance) for one in forwards) == len(photos)
    for one in forwards:
        assert one.instance.x.shape == one.prior.x.shape and one.instance.share == one.prior.share
    first = training.losses(0)
    assert first.prior is not None and float(first.prior) < 1e-9
    training.step(0)
    assert float(training.losses(1).prior or 0) > 0


@pytest.mark.parametrize(("method", "prior"), [("lora", CLOSE), ("lora", FACTORS), ("full", CLOSE)])
def test_the_change_of_all_weights_is_added_up_once_a_step(
    method: MethodName, prior: PriorName, new_base: NewBase, asked: Request
) -> None:
    base = new_base()
    before = weights(base.denoiser)
    training = begun(base, asked, method, prior, accumulation=2)
    training.step(0)
    if method == "full":
        after = weights(base.denoiser)
        expected = sum(float((after[name] - before[name]).double().square().sum()) for name in before)
    else:
        layers = [layer for layer in base.denoiser.modules() if hasattr(layer, "get_delta_weight")]
        own = [[layer.lora_A["default"].weight, layer.lora_B["default"].weight] for layer in layers]
        factors = sum(float(weight.detach().double().square().sum()) for pair in own for weight in pair)
        products = sum(float(one.get_delta_weight("default").detach().double().square().sum()) for one in layers)
        expected = factors if prior == FACTORS else products
    losses = training.losses(1)
    assert expected > 0 and losses.prior is not None
    assert float(losses.prior) == pytest.approx(SCALE * expected, rel=1e-3)
    assert float(losses.total) == pytest.approx(float(losses.instance) + float(losses.prior), rel=1e-5)


def test_class_images_of_another_prior_change_nothing(asked: Request) -> None:
    assert asked.priors is not None
    compared = with_options(asked, prior=COMPARE)
    assert compared.priors is None
    assert compared.key("b" * 64) == with_options(replace(asked, priors=None), prior=COMPARE).key("b" * 64)


def test_factors_are_a_loras() -> None:
    with pytest.raises(OptionError, match="set prior to 'stay close to the base'"):
        TrainOptions(method="full", prior=FACTORS)
