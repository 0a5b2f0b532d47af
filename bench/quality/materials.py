"""What every training of the bench starts from, made once: base in both layouts, photos, class images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...demo.example import cached_toybase
from ...toybase.diffusers_folder import write_diffusers_folder
from ...trainer.files.pictures import write_picture
from ...trainer.model.base import Base
from ...trainer.model.families import fingerprint_of, load_base
from ...trainer.sampling.class_priors import draw_missing, picture_path
from ...trainer.sampling.prior_recipe import PriorRecipe
from ...trainer.sampling.sampler import SamplerSettings, draw
from ...trainer.subject.photos import Photo, read_folder
from .sources import photo_digest

AT_ONCE = 16


@dataclass(frozen=True)
class BenchSubject:
    """A folder of photos of one thing and the noun of its kind. places: keys of those that the photos show, of
    toybase's subjects.
    """

    name: str
    class_noun: str
    folder: Path
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Materials:
    """folder: of all that is made here. size: pixels. own_base: (checkpoint, diffusers folder) in toybase's place."""

    folder: Path
    size: int
    sampler: SamplerSettings
    device: torch.device
    own_base: tuple[Path, Path] | None = None

    @cached_property
    def checkpoint(self) -> Path:
        """The base in the original layout."""
        return self.own_base[0] if self.own_base else cached_toybase()

    @cached_property
    def diffusers_base(self) -> Path:
        """The base as a diffusers folder; toybase's, written when first asked for, with its narrow VAE."""
        if self.own_base:
            return self.own_base[1]
        folder = self.folder / "base"
        return folder if folder.exists() else write_diffusers_folder(folder)

    @cached_property
    def fingerprint(self) -> str:
        """Of the base's weights."""
        return fingerprint_of(self.checkpoint)

    def load(self) -> Base:
        """A fresh base."""
        return load_base(self.checkpoint).to(self.device)

    def photos(self, subject: BenchSubject) -> tuple[Photo, ...]:
        """All photos of a subject, in the order of their names."""
        return tuple(read_folder(subject.folder, self.size, self.size))

    def photo_folder(self, subject: BenchSubject, count: int) -> Path:
        """A folder with the first `count` photos as pictures of `size` pixels. Raises ValueError if there are fewer."""
        folder = self.folder / "photos" / f"{photo_digest(subject.folder)[:12]} {count}"
        photos = self.photos(subject)
        if len(photos) < count:
            raise ValueError(f"{subject.folder} holds {len(photos)} photos; this row of the bench takes {count}")
        for photo in photos[:count]:
            write_picture(photo.pixels, (folder / photo.name).with_suffix(".png"))
        return folder

    def class_folder(self, class_noun: str, count: int, guidance: float) -> Path:
        """The folder of `count` pictures of `a <noun>`, which need not be there yet."""
        return (
            self.folder / "class images" / f"{class_noun} {count} {self.recipe(class_noun, guidance).fingerprint[:12]}"
        )

    def class_images(self, class_noun: str, count: int, guidance: float) -> Path:
        """That folder with `count` pictures of `a <noun>` by the frozen base, and nothing else."""
        recipe, folder = self.recipe(class_noun, guidance), self.class_folder(class_noun, count, guidance)
        if not picture_path(folder, count - 1).is_file():
            base = self.load()
            sampler = replace(self.sampler, sampler=recipe.sampler, guidance=guidance)
            made = draw_missing(
                recipe, count, self.folder / "priors",
                lambda seeds: draw(base, [recipe.prompt] * len(seeds), seeds, sampler), AT_ONCE,
            )  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
            for photo in made.photos():
                write_picture(photo.pixels, folder / photo.name)
        return folder

    def recipe(self, class_noun: str, guidance: float) -> PriorRecipe:
        """How the class images are drawn: by an ancestral sampler, as the paper has it."""
        return PriorRecipe(
            base_fingerprint=self.fingerprint,
            class_noun=class_noun,
            prompt=f"a {class_noun}",
            sampler="euler_ancestral",
            steps=self.sampler.steps,
            guidance=guidance,
            width=self.size,
            height=self.size,
            seed=0,
        )


def pixels(photos: tuple[Photo, ...]) -> Tensor:
    """[N, 3, H, W] in 0..1."""
    return torch.stack([photo.pixels for photo in photos])
