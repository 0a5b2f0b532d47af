"""An upscaler of Stable Diffusion x4's kind: it answers, learns and enlarges as diffusers' own pipeline does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionUpscalePipeline
from torch import Tensor

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.upscaler import SCHEDULE, pipeline, write_upscaler
from dreambooth_nodes.tests.trainer.trainings import training_on
from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.export.diffusers_folder import write_diffusers_folder
from dreambooth_nodes.trainer.files.safetensors import CheckpointError
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.sampling.upscaling import UpscaleSettings, upscale
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.encoded import encode_images, encode_prompts

PROMPT, SIDE, SEED = "a olt dog in the snow", 64, 5


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "upscaler") as folder:
        yield write_upscaler(folder / "upscaler.safetensors")


@pytest.fixture(scope="module")
def upscaler(file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(file)


@pytest.fixture(scope="module")
def theirs(upscaler: Base) -> Any:
    return pipeline(upscaler.scheduler("ddim"))


def pixels(count: int = 1, side: int = SIDE) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(4))


def photos() -> tuple[Photo, ...]:
    return tuple(Photo(str(number), one, None, None) for number, one in enumerate(pixels(3)))


def their_picture(pipe: Any, small: Tensor, level: int, guidance: float) -> Tensor:
    """diffusers' picture from the noises that ours has at SEED."""
    start = torch.randn(4, *small.shape[-2:], generator=randomness.generator(SEED, "sample", 0))
    return pipe(
        PROMPT, small, num_inference_steps=3, guidance_scale=guidance, noise_level=level, latents=start[None],
        generator=randomness.generator(SEED, "sample.picture", 0), output_type="pt",
    ).images  # fmt: skip


@pytest.mark.parametrize(("level", "guidance"), [(0, 1.0), (20, 1.0), (350, 3.0)])
def test_a_picture_is_enlarged_as_diffusers_pipeline_does(
    upscaler: Base, theirs: Any, level: int, guidance: float
) -> None:
    small = pixels(side=16)
    settings = UpscaleSettings(noise_level=level, steps=3, guidance=guidance)
    found = upscale(upscaler, small, [PROMPT], [SEED], settings)
    assert found.shape == (1, 3, SIDE, SIDE)
    torch.testing.assert_close(found, their_picture(theirs, small, level, guidance), rtol=1e-4, atol=1e-4)
    other = upscale(upscaler, small, [PROMPT], [SEED], replace(settings, noise_level=100))
    assert (found - other).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 20, 350])
def test_the_loss_of_a_step_is_diffusers(file: Path, theirs: Any, level: int) -> None:
    """By diffusers' schedulers, VAE, text encoder and UNet, written from the equations."""
    base = load_base(file)
    encoded = encode_prompts(base, [PROMPT], False), encode_images(base, photos()[:1], [0]), None
    training = training_on(base, encoded, TrainOptions(noise_level=level, precision="fp32", prior="off", seed=SEED))
    batch = training.batches[0][0]
    found = training.losses_of([batch]).instance

    x, noise, t = batch.instance.x, batch.instance.noise, batch.instance.timesteps
    scheduler = DDPMScheduler(**SCHEDULE, prediction_type="v_prediction")
    small = torch.nn.functional.interpolate(pixels()[:1], (16, 16), mode="bicubic", antialias=True).clamp(0, 1) * 2 - 1
    noise_of_small = randomness.normal(SEED, "instance.picture", [0], small.shape[1:])
    shown = theirs.low_res_scheduler.add_noise(small, noise_of_small, torch.tensor([level]))
    context = theirs.encode_prompt(PROMPT, "cpu", 1, False)[0]
    z = torch.cat([scheduler.add_noise(x, noise, t), shown], dim=1)
    answer = theirs.unet(z, t, context, class_labels=torch.tensor([level])).sample
    expected = (answer - scheduler.get_velocity(x, noise, t)).square().mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    posterior = theirs.vae.encode(pixels()[:1] * 2 - 1).latent_dist
    drawn = randomness.normal(SEED, "instance.posterior", [0], x.shape[1:])
    torch.testing.assert_close(x, (posterior.mean + posterior.std * drawn) * 0.08333, rtol=1e-4, atol=1e-4)


def request(**options: Any) -> Request:
    chosen = TrainOptions(
        steps=2, precision="fp32", learning_rate=1e-2, prior="compare with the base", sample_count=1, **options
    )  # fmt: skip
    return Request(subject=Subject(photos(), "dog", SIDE, SIDE), identifier="olt", options=chosen, name="dog")


def store(folder: Path) -> Store:
    return Store(folder / "loras", folder / "checkpoints", folder / "dreambooth")


def test_a_trained_lora_enlarges_in_diffusers_as_it_does_here(file: Path, upscaler: Base, tmp_path: Path) -> None:
    base = load_base(file)
    chosen = request(rank=2, targets="transformer_and_resnet", train_text_encoder=True)
    result, _ = personalize(base, chosen, store(tmp_path))
    small, settings = pixels(side=16), UpscaleSettings(noise_level=20, steps=3)
    ours = upscale(base, small, [PROMPT], [SEED], settings)
    assert (ours - upscale(upscaler, small, [PROMPT], [SEED], settings)).abs().max() > 1e-2
    pipe = pipeline(base.scheduler("ddim"))
    pipe.load_lora_weights(result.file.parent, weight_name=result.file.name)
    torch.testing.assert_close(ours, their_picture(pipe, small, 20, 1.0), rtol=1e-3, atol=1e-3)


def test_a_wholly_trained_upscaler_is_read_again_and_exported_as_a_pipeline(file: Path, tmp_path: Path) -> None:
    base = load_base(file)
    result, _ = personalize(base, request(method="full"), store(tmp_path))
    again = load_base(result.file)
    small, settings = pixels(side=16), UpscaleSettings(noise_level=20, steps=3)
    ours = upscale(again, small, [PROMPT], [SEED], settings)
    torch.testing.assert_close(ours, upscale(base, small, [PROMPT], [SEED], settings), rtol=1e-3, atol=1e-3)
    folder = write_diffusers_folder(again, tmp_path / "folder", torch.float32)
    pipe = StableDiffusionUpscalePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = again.scheduler("ddim")
    torch.testing.assert_close(ours, their_picture(pipe, small, 20, 1.0), rtol=1e-4, atol=1e-4)
    read = load_base(folder)
    torch.testing.assert_close(ours, upscale(read, small, [PROMPT], [SEED], settings), rtol=1e-4, atol=1e-4)


def test_a_picture_of_any_size_keeps_its_shape(upscaler: Base) -> None:
    """What is added at its right and lower edge is cut off again."""
    small = pixels(side=24)[..., :20, :13]
    found = upscale(upscaler, small, [PROMPT], [SEED], UpscaleSettings(steps=1))
    assert found.shape == (1, 3, 80, 52)
    whole = torch.nn.functional.pad(small, (0, 3, 0, 4), mode="replicate")
    assert torch.equal(found, upscale(upscaler, whole, [PROMPT], [SEED], UpscaleSettings(steps=1))[..., :80, :52])


def test_what_an_upscaler_cannot_do_is_refused(upscaler: Base, toybase_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="draws none from a prompt"):
        draw(upscaler, [PROMPT], [SEED], SamplerSettings(width=SIDE, height=SIDE))
    with pytest.raises(ValueError, match="noise_level is 351"):
        upscale(upscaler, pixels(side=16), [PROMPT], [SEED], UpscaleSettings(noise_level=351))
    plain = load_base(toybase_file)
    with pytest.raises(CheckpointError, match="enlarges no pictures"):
        upscale(plain, pixels(side=16), [PROMPT], [SEED], UpscaleSettings())
    with pytest.raises(OptionError, match="noise_level is 20"):
        personalize(plain, request(noise_level=20), store(tmp_path))
