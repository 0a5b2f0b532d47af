"""The embedded upscaler: what is stored is small, and its folder is the same model for diffusers and for us.

Of random weights: the pack carries none yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionUpscalePipeline
from torch import Generator, Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.toybase.upscaler_weights import random_weights
from dreambooth_nodes.toybase.diffusers_folder import text_config, write_upscaler_folder
from dreambooth_nodes.toybase.narrow_vae import UPSCALER as VAE
from dreambooth_nodes.toybase.narrow_vae import moments_at_twice_the_size, new_vae
from dreambooth_nodes.toybase.pair_bank import CHUNK, SIZE, PairBank, stored_base_vae
from dreambooth_nodes.toybase.quantize import UPSCALER_PARTS, load_stored
from dreambooth_nodes.toybase.text_encoder import UPSCALER, short_context, short_ids, text_encoder_tensors
from dreambooth_nodes.toybase.train_upscaler_vae import distillation_loss, without_a_level
from dreambooth_nodes.toybase.upscaler import EMBEDDING, LEVELS, SCHEDULE, in_training, new_upscaler, whole_weights
from dreambooth_nodes.toybase.world import World
from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.small_picture import SmallPicture
from dreambooth_nodes.trainer.sampling.upscaling import UpscaleSettings, upscale
from dreambooth_nodes.trainer.subject.photos import read_folder

SUBJECTS = Path(__file__).resolve().parents[2] / "toybase" / "subjects"
PROMPT, SEED = "a dog", 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "toy upscaler") as lent:
        yield write_upscaler_folder(lent / "upscaler", random_weights(lent / "weights"))


@pytest.fixture(scope="module")
def upscaler(folder: Path) -> Base:
    return load_base(folder)


def photos() -> Tensor:
    return torch.stack([photo.pixels for photo in read_folder(SUBJECTS / "spotted_dog", SIZE, SIZE)])


def test_what_is_stored_is_at_most_five_megabytes(folder: Path) -> None:
    assert (
        sum((folder.parent / "weights" / f"{part}.safetensors").stat().st_size for part in UPSCALER_PARTS) <= 5_000_000
    )


def test_diffusers_enlarges_as_we_do(folder: Path, upscaler: Base) -> None:
    small = upscaler.small_picture.of(photos()[:1]) / 2 + 0.5
    ours = upscale(upscaler, small, [PROMPT], [SEED], UpscaleSettings(noise_level=20, steps=2))
    pipe = StableDiffusionUpscalePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = upscaler.scheduler("ddim")
    start = torch.randn(1, 4, 32, 32, generator=randomness.generator(SEED, "sample", 0))
    theirs = pipe(
        PROMPT, small, num_inference_steps=2, guidance_scale=1.0, noise_level=20, latents=start,
        generator=randomness.generator(SEED, "sample.picture", 0), output_type="pt",
    ).images  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_the_context_in_training_is_the_text_encoders() -> None:
    model = CLIPTextModel(CLIPTextConfig(**text_config(UPSCALER))).eval()
    prefix = "" if any(name.startswith("embeddings.") for name in model.state_dict()) else "text_model."
    tensors = {prefix + name: value.float() for name, value in text_encoder_tensors(UPSCALER).items()}
    model.load_state_dict(tensors, strict=False)
    ids = torch.tensor([short_ids("a red car on the beach", UPSCALER)])
    whole = torch.nn.functional.pad(ids, (0, 77 - ids.shape[1]), value=UPSCALER.pad)
    with torch.no_grad():
        context = model(whole).last_hidden_state
    torch.testing.assert_close(context[:, : ids.shape[1]], short_context(ids, UPSCALER), rtol=1e-4, atol=1e-4)


def test_a_level_in_training_is_the_stored_ones_vector() -> None:
    trained, whole = in_training(), new_upscaler()
    weights = whole_weights({name: value.detach() for name, value in trained.state_dict().items()})
    whole.load_state_dict(weights)
    levels = torch.tensor([0, 20, 350, LEVELS - 1])
    assert weights[EMBEDDING].shape[0] == LEVELS
    torch.testing.assert_close(whole.class_embedding(levels), trained.class_embedding(levels))


def test_a_pair_is_one_scene_at_two_sizes() -> None:
    textures = np.random.default_rng(0).integers(0, 255, (2, 160, 160, 4), dtype=np.uint8)
    world, vae = World(textures, [0, 1]), new_vae()
    small = SmallPicture(DDPMScheduler(**SCHEDULE).alphas_cumprod, VAE.factor, 350)
    bank = PairBank({world: 1.0}, vae, small, seed=5, capacity=CHUNK)
    latents, pictures, ids = bank.batch(4)
    assert latents.shape == (4, 4, 32, 32) and pictures.shape == (4, 3, 32, 32) and len(ids) == 4
    scenes = world.draw_scenes(Generator().manual_seed(5), CHUNK)
    shrunken = small.of(world.render(scenes, SIZE) / 2 + 0.5)
    torch.testing.assert_close(small.of(bank.large / 255), shrunken, rtol=0, atol=1e-2)
    assert bank.ids.tolist() == [list(short_ids(caption, UPSCALER)) for caption in world.captions(scenes)]


def test_the_vae_starts_from_the_bases_and_decodes_its_latents_of_pictures_at_twice_the_size() -> None:
    """What is taken over fits, and the scale of the latents is the upscaler's."""
    started = new_vae(VAE)
    started.load_state_dict(without_a_level(load_stored("vae")))
    pictures = photos()[:2] * 2 - 1
    moments = moments_at_twice_the_size(stored_base_vae(torch.device("cpu")), pictures)
    assert moments.shape == (2, 8, 32, 32)
    assert 0.5 < float((moments[:, :4] * VAE.scaling).std()) < 1.5
    loss = distillation_loss(started, pictures, moments)
    loss.backward()
    assert loss.isfinite() and all(parameter.grad is not None for parameter in started.parameters())
