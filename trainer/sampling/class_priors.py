"""Class priors: images of the class, sampled from the frozen base itself and kept on disk (the paper, section 3.3).

A set's folder is named by a fingerprint of everything that determines its images: base weights, prompt, sampler, steps,
guidance, size and seed. So a complete set is reused, a partial one is completed, and sets of different recipes never
share a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..events import PriorsCounted, Tell, tell_nobody
from ..files.atomic import remove_temporary_files, write_json
from ..files.pictures import write_picture
from ..out_of_memory import is_out_of_memory
from ..subject.buckets import Size
from ..subject.own_class_images import OwnClassImages
from ..subject.photos import Photo, read_photo
from .prior_recipe import PriorRecipe, PriorsError

Draw = Callable[[Sequence[int]], Tensor]
"""A function from seeds to images [len(seeds), 3, H, W] in 0..1, sampled from the frozen base with the class prompt."""
Decided = Callable[[Callable[[], Any]], Any]
"""A function that calls another one, or hands over what the first of several processes got by calling it."""


def call(decide: Callable[[], Any]) -> Any:
    """The `Decided` of a single process."""
    return decide()


STALE = 3600.0
"""The age in seconds from which a temporary image file is deleted: a younger one may be written by another process that
completes the same set.
"""


@dataclass(frozen=True)
class ClassPriors:
    """A set of `count` class images on disk, from 00000.png on, with their recipe.

    others: the sets of further sizes and classes; a subject whose photos have several sizes has one for each. own: the
    user's own pictures beside the sampled ones; with a count of 0 instead of them.
    """

    recipe: PriorRecipe
    folder: Path
    count: int
    others: tuple[ClassPriors, ...] = ()
    own: tuple[OwnClassImages, ...] = ()

    @classmethod
    def joined(cls, sets: Sequence[ClassPriors]) -> ClassPriors:
        """Sets of several sizes and classes as one; at least one."""
        first, *others = (one for several in sets for one in several.sets)
        return replace(first, others=tuple(others), own=tuple(own for several in sets for own in several.own))

    @property
    def sets(self) -> tuple[ClassPriors, ...]:
        """The sets of one size each, this one first."""
        return (replace(self, others=(), own=()), *self.others)

    @property
    def prompts(self) -> dict[str, str]:
        """{class noun: the prompt of its images}."""
        return {each.recipe.class_noun: each.recipe.prompt for each in self.sets}

    @property
    def nouns(self) -> list[str]:
        """The class noun of each image, in the order of `photos`."""
        drawn = (each.recipe.class_noun for each in self.sets for _ in range(each.count))
        return [*drawn, *(each.class_noun for each in self.own for _ in each.photos)]

    @property
    def total(self) -> int:
        """The number of images in all sets."""
        return len(self.nouns)

    @property
    def contents(self) -> list[Any]:
        """What determines the images, ready for JSON: [fingerprint of the recipe, number], or a list of such and of the
        fingerprints of the user's own.
        """
        contents: list[Any] = [[each.recipe.fingerprint, each.count] for each in self.sets if each.count]
        if self.own:
            return [*contents, *([each.fingerprint, self.prompts[each.class_noun]] for each in self.own)]
        return contents if self.others else contents[0]

    def photos(self, at_most: int | None = None) -> Iterator[Photo]:
        """The images of all sets and of the user's own, or the first `at_most` of each, as photos without mask or
        caption, read one by one.
        """
        for each in self.sets:
            for index in range(min(each.count, at_most or each.count)):
                yield read_photo(picture_path(each.folder, index), each.recipe.width, each.recipe.height)
        for own in self.own:
            yield from own.photos[: at_most or len(own.photos)]

    def require_match(self, base_fingerprint: str, sizes: Mapping[str, Collection[Size]]) -> None:
        """Raises PriorsError when the images were sampled from another base or for another class, and when there are
        none of a class or size, or some of another one. sizes: {class noun: the photos' widths and heights}.
        """
        found: dict[str, list[Size]] = {}
        for each in self.sets:
            _require_equal("base model", each.recipe.base_fingerprint, base_fingerprint)
            found.setdefault(each.recipe.class_noun, []).append((each.recipe.width, each.recipe.height))
        if lacking := [each.class_noun for each in self.own if each.class_noun not in found]:
            raise PriorsError(f"The class images hold pictures of {', '.join(lacking)}, which no subject is.")
        _require_equal("class noun", ", ".join(sorted(found)), ", ".join(sorted(sizes)))
        for noun, own in found.items():
            _require_equal("size", _in_words(sorted(own)), _in_words(sorted(sizes[noun])))


def _require_equal(name: str, found: str, wanted: str) -> None:
    """Raises PriorsError where the priors' value differs from the training's."""
    if found != wanted:
        raise PriorsError(
            f"The class images' {name} is {_short(found)}, this training's is {_short(wanted)}. "
            "Connect Generate Class Images to the same model and subject, and leave its own values empty."
        )


def _in_words(sizes: Sequence[Size]) -> str:
    """Sizes for messages."""
    return ", ".join(f"{width}x{height}" for width, height in sizes)


def draw_missing(
    recipe: PriorRecipe,
    count: int,
    root: Path,
    draw: Draw,
    batch_size: int,
    tell: Tell = tell_nobody,
    decided: Decided = call,
) -> ClassPriors:
    """The set of this recipe under `root`, with at least `count` images; only missing images are sampled.

    An image's seed follows from the recipe's seed and its number. Where memory runs out, fewer images are sampled at a
    time. decided: runs what reads or writes the set; of several processes that draw together, only the first does.
    Raises PriorsError for a count or batch_size below 1.
    """
    if count < 1 or batch_size < 1:
        raise PriorsError(f"count is {count} and batch_size {batch_size}; both must be 1 or more.")
    folder = root / recipe.fingerprint[:24]
    missing = decided(lambda: _missing(recipe, count, folder))
    reused = count - len(missing)
    tell(PriorsCounted(count, reused, 0))
    drawn = 0
    while drawn < len(missing):
        chunk, images = _as_many_as_fit(missing[drawn : drawn + batch_size], recipe, draw)
        batch_size = min(batch_size, len(chunk))
        decided(partial(_write, folder, chunk, images))
        drawn += len(chunk)
        tell(PriorsCounted(count, reused, drawn))
    return ClassPriors(recipe, folder, count)


def _missing(recipe: PriorRecipe, count: int, folder: Path) -> list[int]:
    """The numbers of the images that are not in the folder, in which the recipe is then written."""
    remove_temporary_files(folder, at_least=STALE)
    write_json(asdict(recipe), folder / "recipe.json")
    return [i for i in range(count) if not picture_path(folder, i).is_file()]


def _write(folder: Path, numbers: Sequence[int], images: Tensor) -> None:
    """Write images under their numbers."""
    for number, image in zip(numbers, images, strict=True):
        write_picture(image, picture_path(folder, number))


def _as_many_as_fit(chunk: Sequence[int], recipe: PriorRecipe, draw: Draw) -> tuple[Sequence[int], Tensor]:
    """The first images of a chunk, and their indices: all of them, or half as many each time that memory runs out."""
    while True:
        try:
            return chunk, draw([_seed(recipe.seed, index) for index in chunk])
        except (RuntimeError, MemoryError) as error:
            if len(chunk) == 1 or not is_out_of_memory(error):
                raise
        # Outside the handler: the error's traceback refers to the tensors that filled the memory.
        chunk = chunk[: len(chunk) // 2]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def picture_path(folder: Path, index: int) -> Path:
    """The path of a set's image."""
    return folder / f"{index:05d}.png"


def _seed(seed: int, index: int) -> int:
    """An image's seed: 48 bits of a hash of the recipe's seed and the image's index."""
    digest = hashlib.blake2b(f"{seed}/prior/{index}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "little")


def _short(value: object) -> str:
    """A value for messages, with long texts such as fingerprints abbreviated."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else repr(value)
