"""DINO and CLIP folders are looked through as transformers' own processors and models would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from dreambooth_nodes.toybase.palette import NOUNS
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import clip_tokenizer
from dreambooth_nodes.trainer.scores.dino_clip import DinoClipScorer

SMALL = {
    "initializer_range": 0.2,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A DINO and a CLIP of the real architectures, small and with random weights."""
    torch.manual_seed(3)
    dino, clip = tmp_path_factory.mktemp("dino"), tmp_path_factory.mktemp("clip")
    ViTModel(ViTConfig(**SMALL, image_size=224, patch_size=32), add_pooling_layer=False).save_pretrained(dino)
    vision = {**SMALL, "image_size": 224, "patch_size": 32}
    text = {**SMALL, "bos_token_id": 49406, "eos_token_id": 49407}
    CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=32)).save_pretrained(clip)
    clip_tokenizer().save_pretrained(clip)
    return dino, clip


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """[4, 3, 300, 240] in eight-bit steps; smooth, so that two bicubic resizers agree."""
    coarse = torch.rand(4, 3, 8, 6, generator=torch.Generator().manual_seed(5))
    smooth = F.interpolate(coarse, (300, 240), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round() / 255


def as_images(pictures: Tensor) -> list[Image.Image]:
    return [Image.fromarray((p.movedim(0, -1) * 255).numpy().astype(np.uint8)) for p in pictures]


@torch.no_grad()
def dino_tokens(folder: Path, pictures: Tensor) -> Tensor:
    """By the paper's protocol with transformers' parts: shorter side 256 bicubic, centre crop 224, CLS token."""
    fitted = []
    for image in as_images(pictures):
        scale = 256 / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
        resized = image.resize(size, Image.Resampling.BICUBIC)
        fitted.append(resized.crop((left, top, left + 224, top + 224)))
    normal = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    prepared = ViTImageProcessor(do_resize=False, **normal)(fitted, return_tensors="pt")
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    return F.normalize(model(**prepared).last_hidden_state[:, 0], dim=1)


@torch.no_grad()
def clip_answer(folder: Path, pictures: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Normalised embeddings of pictures and texts, by CLIPModel's own forward."""
    prepared = CLIPImageProcessor()(as_images(pictures), return_tensors="pt")
    tokens = clip_tokenizer()(texts, padding=True, return_tensors="pt")
    answer = CLIPModel.from_pretrained(folder).eval()(**prepared, **tokens)
    return answer.image_embeds, answer.text_embeds


def test_likeness_is_the_mean_cosine_of_dinos_cls_tokens(folders: tuple[Path, Path], pictures: Tensor) -> None:
    tokens = dino_tokens(folders[0], pictures)
    expected = (tokens[:2] @ tokens[2:].T).mean(1)
    found = DinoClipScorer(*folders, NOUNS).likeness(pictures[:2], pictures[2:])
    assert torch.allclose(found, expected, atol=2e-3)
    assert (1 - expected).min() > 0.02


def test_fidelity_and_clip_likeness_are_clips_own_cosines(folders: tuple[Path, Path], pictures: Tensor) -> None:
    texts = ["a dog on the beach", "a red toy", "a photo of a teapot in the snow", "grass"]
    seen, read = clip_answer(folders[1], pictures, texts)
    assert (seen * read).sum(1).std() > 0.01
    scorer = DinoClipScorer(*folders, NOUNS, likeness_by_clip=True)
    assert torch.allclose(scorer.prompt_following(pictures, texts), (seen * read).sum(1), atol=2e-3)
    assert torch.allclose(scorer.likeness(pictures[:2], pictures[2:]), (seen[:2] @ seen[2:].T).mean(1), atol=2e-3)


def test_a_picture_is_most_like_itself_and_variety_is_the_distance_to_the_others(
    folders: tuple[Path, Path], pictures: Tensor
) -> None:
    scorer = DinoClipScorer(*folders, NOUNS)
    itself = torch.cat([scorer.likeness(p, p) for p in pictures.split(1)])
    assert torch.allclose(itself, torch.ones(4), atol=1e-5)
    assert torch.allclose(scorer.variety(pictures[:1].repeat(3, 1, 1, 1)), torch.zeros(3), atol=1e-5)
    first = 1 - scorer.likeness(pictures[:1], pictures[1:])
    assert torch.allclose(scorer.variety(pictures)[:1], first, atol=1e-5)


def test_the_class_is_shown_where_clip_finds_its_noun_nearest(folders: tuple[Path, Path], pictures: Tensor) -> None:
    seen, read = clip_answer(folders[1], pictures, [f"a photo of a {noun}" for noun in NOUNS])
    nearest = (seen @ read.T).argmax(1)
    scorer = DinoClipScorer(*folders, NOUNS)
    for index in nearest.unique().tolist():
        assert scorer.shows(pictures, NOUNS[index]).tolist() == (nearest == index).float().tolist()
    strange = next(i for i in range(len(NOUNS)) if i not in nearest)
    assert scorer.shows(pictures, NOUNS[strange]).sum() == 0


def test_a_folder_without_weights_is_named(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        DinoClipScorer(folders[0], tmp_path, NOUNS)
