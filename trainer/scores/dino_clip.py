"""DINO and CLIP from folders on disk, by the paper's protocol (section 4.1): for bases that know the real world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..files.hashes import digest_of
from .embedding import Embed, EmbeddingScorer

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
CROP = 224


class DinoClipScorer:
    """likeness, pairwise similarity and variety by DINO's CLS token (the paper: ViT-S/16) or by CLIP (CLIP-I; usual:
    ViT-B/32); prompt following and class by CLIP.

    dino, clip: folders with config.json and model.safetensors; without dino likeness is by CLIP. other_nouns: the nouns
    that `shows` compares the class noun with. variety is 1 - the cosine of likeness: LPIPS, the paper's measure, needs
    weights that no folder here brings. Raises FileNotFoundError naming what is missing.
    """

    meaning = "CLIP's cosine of picture and prompt, the identifier left out"
    margin = 0.01
    reads_texts = True

    def __init__(
        self, dino: Path | None, clip: Path, other_nouns: Sequence[str] = (), likeness_by_clip: bool = False
    ) -> None:
        from transformers import CLIPTokenizer

        folders = [folder for folder in (dino, clip) if folder is not None]
        for folder in folders:
            _require_model(folder)
        by_clip = likeness_by_clip or dino is None
        self.name = f"CLIP-I {clip.name}" if by_clip or dino is None else f"DINO {dino.name}"
        self._nouns = tuple(other_nouns)
        self._embed_for_likeness = self._embed_pictures if by_clip or dino is None else _cls_embedder(dino)
        self.fingerprint = digest_of(file for folder in folders for file in folder.glob("*.safetensors"))
        self._clip = _model(clip)
        self._tokenizer = CLIPTokenizer.from_pretrained(clip, local_files_only=True)

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine of DINO's CLS tokens, or of CLIP's embeddings."""
        return self.pairwise_similarity(pictures, photos).mean(1)

    def prompt_following(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosine of CLIP's picture and text embeddings."""
        return (self._embed_pictures(pictures) * self._embed_texts(texts)).sum(1)

    def shows(self, pictures: Tensor, class_noun: str) -> Tensor:
        """1 where CLIP finds `a photo of a <noun>` nearest among the noun and the other nouns, else 0."""
        nouns = [class_noun, *(noun for noun in self._nouns if noun != class_noun)]
        answer = self._embed_pictures(pictures) @ self._embed_texts([f"a photo of a {noun}" for noun in nouns]).T
        return (answer.argmax(1) == 0).float()

    def nearest_nouns(self, pictures: Tensor, nouns: Sequence[str]) -> tuple[str, ...]:
        """The nouns, those first whose `a photo of a <noun>` is nearest to the pictures on average."""
        texts = self._embed_texts([f"a photo of a {noun}" for noun in nouns])
        nearness = (self._embed_pictures(pictures) @ texts.T).mean(0)
        return tuple(nouns[index] for index in nearness.argsort(descending=True, stable=True).tolist())

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean of 1 - cosine to the other pictures."""
        tokens = self._embed_for_likeness(pictures)
        return (1 - tokens @ tokens.T).sum(1) / max(1, len(pictures) - 1)

    def pairwise_similarity(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Cosines of the embeddings that `likeness` averages."""
        return self._embed_for_likeness(pictures) @ self._embed_for_likeness(photos).T

    def calibrated(self, pictures: Tensor, texts: Sequence[str]) -> DinoClipScorer:
        """This scorer: CLIP reads texts."""
        return self

    @torch.no_grad()
    def _embed_pictures(self, pictures: Tensor) -> Tensor:
        """CLIP's embeddings of pictures [B, D], of unit length."""
        parts = [
            _pooled(self._clip.get_image_features(pixel_values=p))
            for p in _preprocessed(pictures, CROP, *CLIP).split(16)
        ]
        return F.normalize(torch.cat(parts), dim=1)

    @torch.no_grad()
    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        """CLIP's embeddings of texts [B, D], of unit length."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        return F.normalize(_pooled(self._clip.get_text_features(**tokens)), dim=1)


def dino_scorer(folder: Path) -> EmbeddingScorer:
    """A scorer by DINO's CLS token alone, in a folder with config.json and model.safetensors.

    Raises FileNotFoundError naming what is missing.
    """
    _require_model(folder)
    return EmbeddingScorer(f"DINO {folder.name}", _cls_embedder(folder), digest_of(folder.glob("*.safetensors")))


def _cls_embedder(folder: Path) -> Embed:
    """A function that embeds pictures as DINO's CLS token, of unit length."""
    dino = _model(folder)

    @torch.no_grad()
    def embed(pictures: Tensor) -> Tensor:
        parts = [
            dino(pixel_values=p).last_hidden_state[:, 0] for p in _preprocessed(pictures, 256, *IMAGENET).split(16)
        ]
        return F.normalize(torch.cat(parts), dim=1)

    return embed


def _require_model(folder: Path) -> None:
    """Raises FileNotFoundError where a folder lacks a file of a transformers model."""
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no {file}: name a transformers model kept as safetensors")


def _model(folder: Path) -> Any:
    """The model of a folder, frozen."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval().requires_grad_(False)


def _preprocessed(pictures: Tensor, resized_to: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Shorter side to `resized_to` by bicubic, centre crop of 224, normalised: [B, 3, 224, 224]."""
    height, width = pictures.shape[-2:]
    scale = resized_to / min(height, width)
    size = (max(resized_to, round(height * scale)), max(resized_to, round(width * scale)))
    resized = F.interpolate(pictures, size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    cut = resized[..., top : top + CROP, left : left + CROP]
    return (cut - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def _pooled(features: Any) -> Tensor:
    """The features: transformers 5 wraps the tensor that transformers 4 returns."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
