"""One training step of every family at its real size: the loss is that of diffusers' own classes.

Random weights in a file of up to 7 GB. `-k sdxl` runs one family alone; `-s` shows seconds and memory.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.machine_check.full_size import write_random
from dreambooth_nodes.tests.trainer.model.families import reference
from dreambooth_nodes.tests.trainer.model.families.reference import Shown
from dreambooth_nodes.tests.trainer.trainings import AlwaysThis, images_of
from dreambooth_nodes.trainer.methods.registry import Full, Lora
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.session.setup import build_training
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.training.batches import Batch
from dreambooth_nodes.trainer.training.encoded import encode_prompts
from dreambooth_nodes.trainer.training.loss import Examples, dreambooth_loss

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
FAMILIES = [("sd1", "epsilon"), ("sd2", "epsilon"), ("sd2", "v_prediction"), ("sdxl", "epsilon")]
PRIOR_WEIGHT = 0.7
SIDE = 256
FIRST, DEEP = "conv_in.weight", "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(params=FAMILIES, ids=[" ".join(one) for one in FAMILIES])
def family(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    began = time.perf_counter()
    yield request.param
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{request.node.name}: {time.perf_counter() - began:.0f} s, at most {peak:.1f} GiB so far")


@pytest.fixture
def file(family: tuple[str, str], tmp_path: Path) -> Iterator[Path]:
    """Deleted at once: pytest would keep it."""
    path = write_random(family[0], tmp_path / "random.safetensors")
    yield path
    path.unlink()


def shown() -> Shown:
    generator = torch.Generator().manual_seed(5)
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=generator)
    posterior, noise = (torch.randn(2, 4, SIDE // 8, SIDE // 8, generator=generator) for _ in range(2))
    return Shown(pixels, posterior, noise, torch.tensor([700, 250]), ("a olt dog in the snow", "a dog"))


@torch.no_grad()
def halves(base: Base, step: Shown) -> tuple[Examples, Examples]:
    posterior = base.encode_images(step.pixels)
    x = posterior.mean + posterior.std * step.posterior
    first, second = (Examples(x[i : i + 1], step.noise[i : i + 1], step.t[i : i + 1]) for i in (0, 1))
    return first, second


def test_a_step_of_a_lora_has_the_papers_loss(family: tuple[str, str], file: Path) -> None:
    """SDXL as it is trained where memory is dear: the frozen layers in bfloat16."""
    name, prediction = family
    dtype = torch.bfloat16 if name == "sdxl" else torch.float32
    step = shown()
    instance, total, _ = reference.losses(name, file, step, prediction, PRIOR_WEIGHT, dtype)
    other = Shown(step.pixels, step.posterior, step.noise, step.t, ("a red house", "a cat"))
    elsewhere, _, _ = reference.losses(name, file, other, prediction, PRIOR_WEIGHT, dtype)

    base, lora = load_base(file, prediction, dtype), Lora()
    options = TrainOptions(
        steps=1, rank=4, prior_weight=PRIOR_WEIGHT, precision="bf16" if name == "sdxl" else "fp32", checkpointing=True
    )
    lora.attach(base, options)
    frames = base.frame_conditioning([Frame.whole(SIDE, SIDE)] * 2)
    batch = Batch(*halves(base, step), (0, 1), frames)
    assert batch.instance is not None
    x = batch.instance.x
    encoded = (encode_prompts(base, step.prompts, False), images_of(x, torch.zeros_like(x), 0), None)
    training = build_training(base, lora, options, encoded)
    training.batches = AlwaysThis(batch)
    losses = training.step(0)
    tolerance = 1e-3 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(losses.instance, instance, rtol=tolerance, atol=0)
    torch.testing.assert_close(losses.total, total, rtol=tolerance, atol=0)
    assert abs(elsewhere - instance) > 3 * tolerance * instance, "the loss hardly depends on the prompt"
    changed = [name for name, tensor in lora.trained(base)["denoiser"].items() if "lora_B" in name and tensor.any()]
    assert len(changed) == len(lora.weights(base)["denoiser"])


@pytest.mark.parametrize("family", FAMILIES[:1], indirect=True, ids=["sd1 epsilon"])
def test_a_step_of_all_weights_has_the_papers_loss_and_gradients(family: tuple[str, str], file: Path) -> None:
    """Forward and backward: AdamW's moments would be another 7 GB."""
    name, prediction = family
    step = shown()
    instance, total, gradients = reference.losses(
        name, file, step, prediction, PRIOR_WEIGHT, torch.float32, (FIRST, DEEP)
    )
    base = load_base(file, prediction)
    Full().attach(base, TrainOptions(method="full", prior_weight=PRIOR_WEIGHT))
    conditioning = base.encode_prompts(step.prompts)
    losses = dreambooth_loss(
        lambda z, t: base.predict(z, t, conditioning), base.noise_process, *halves(base, step), PRIOR_WEIGHT
    )
    losses.total.backward()
    torch.testing.assert_close(losses.instance, instance, rtol=1e-4, atol=0)
    torch.testing.assert_close(losses.total, total, rtol=1e-4, atol=0)
    assert all(weight.grad is not None for weight in base.denoiser.parameters())
    for weight, gradient in gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(base.denoiser.get_parameter(weight).grad, gradient, rtol=1e-3, atol=1e-6)
