"""Photos with other surroundings: inside the mask as they are, all else drawn anew by the frozen base.

A training on them sees the subject at many places, and its loss is the subject's alone: so the photos' own place is not
learned as part of it. Pictures are kept on disk as class images are, each in a folder that is named by a fingerprint of
everything that determines it: a picture that is there is not drawn again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..events import Event, PriorsCounted, Tell, tell_nobody
from ..subject.photos import Photo
from ..subject.subject import Subject
from .class_priors import Draw, draw_missing
from .prior_recipe import PriorRecipe

MOST = 100
"""The most pictures of a photo."""
COVERED = 0.5
"""The mask's value from which a position is the subject's."""


class SurroundingsError(ValueError):
    """Photos whose surroundings cannot be drawn; the message says why."""


@dataclass(frozen=True, kw_only=True)
class SurroundingsRecipe(PriorRecipe):
    """Everything that determines one picture. photo: the SHA-256 (hex) of the photo's pixels and mask."""

    photo: str


DrawAround = Callable[[Photo, SurroundingsRecipe], Draw]
"""A function from a photo and a recipe to what draws it with other surroundings."""


def vary_surroundings(
    subject: Subject,
    common: PriorRecipe,
    class_prompt: Callable[[str], str],
    places: Sequence[str],
    count: int,
    root: Path,
    draw_around: DrawAround,
    tell: Tell = tell_nobody,
) -> Subject:
    """The subject whose photos are shown at `count` other places each. common: base, sampler, steps, guidance and seed;
    its other fields are those of each photo. class_prompt: of a class noun, which the place is put after. root: where
    pictures are kept.

    Raises SurroundingsError for photos without a mask, or one that covers them whole, a count out of range, or no
    place.
    """
    if not 1 <= count <= MOST:
        raise SurroundingsError(f"count is {count}; it must be 1 to {MOST}.")
    if not places:
        raise SurroundingsError("places is empty: write one on each line, such as 'on the beach'.")
    _require_masks(subject)
    told = _Total(tell, count * sum(len(one.photos) for one in subject.each))

    def redrawn(one: Subject) -> tuple[Photo, ...]:
        prompt = class_prompt(one.class_noun)
        return tuple(
            _picture(photo, recipe, root, draw_around(photo, recipe), told)
            for photo in one.photos
            for recipe in recipes_of_photo(photo, replace(common, class_noun=one.class_noun), prompt, places, count)
        )

    first, *others = (replace(one, redrawn=redrawn(one)) for one in subject.each)
    return replace(first, others=tuple(others))


def recipes_of_photo(
    photo: Photo, common: PriorRecipe, prompt: str, places: Sequence[str], count: int
) -> Iterator[SurroundingsRecipe]:
    """The recipes of a photo's pictures: places in turn from one that depends on the photo, each with a seed of its
    own. More of them begin with the same.
    """
    height, width = photo.pixels.shape[1:]
    digest = _digest(photo)
    for number in range(count):
        seed = hashlib.blake2b(f"{common.seed}/{digest}/{number}".encode(), digest_size=6).digest()
        place = places[(int(digest[:8], 16) + number) % len(places)]
        yield SurroundingsRecipe(
            base_fingerprint=common.base_fingerprint,
            class_noun=common.class_noun,
            prompt=f"{prompt} {place}",
            sampler=common.sampler,
            steps=common.steps,
            guidance=common.guidance,
            width=width,
            height=height,
            seed=int.from_bytes(seed, "little"),
            photo=digest,
        )


def _picture(photo: Photo, recipe: SurroundingsRecipe, root: Path, draw: Draw, told: _Total) -> Photo:
    """The photo with its mask's part over the picture of a recipe. It has no caption: the photo's own describes the
    place that is gone.
    """
    told.begin()
    (drawn,) = draw_missing(recipe, 1, root, draw, 1, told).photos()
    assert photo.mask is not None
    pixels = photo.mask * photo.pixels + (1 - photo.mask) * drawn.pixels
    return replace(photo, name=f"{photo.name} ({recipe.prompt})", pixels=pixels, caption=None)


def _require_masks(subject: Subject) -> None:
    """Raises SurroundingsError unless every photo has a mask that leaves something around the subject."""
    for photo in subject.all_photos:
        if photo.mask is None:
            raise SurroundingsError(
                f"photo {photo.name!r} has no mask, so nothing tells the subject from its surroundings: connect masks "
                "to Load Instance Images, put mask files beside the photos, or make the surroundings transparent."
            )
        if photo.mask.min() >= COVERED:
            raise SurroundingsError(
                f"the mask of photo {photo.name!r} covers all of it, so nothing is left to draw anew: mask the subject."
            )


def _digest(photo: Photo) -> str:
    """The SHA-256 (hex) of a photo's pixels and mask."""
    assert photo.mask is not None
    digest = hashlib.sha256(repr(tuple(photo.pixels.shape)).encode() + photo.pixels.numpy().tobytes())
    digest.update(photo.mask.numpy().tobytes())
    return digest.hexdigest()


@dataclass
class _Total:
    """Counts of single pictures, told as those of all `asked`."""

    tell: Tell
    asked: int
    before: tuple[int, int] = (0, 0)
    latest: tuple[int, int] = field(default=(0, 0))

    def begin(self) -> None:
        """The next picture."""
        self.before, self.latest = self._sums(), (0, 0)

    def __call__(self, event: Event) -> None:
        if isinstance(event, PriorsCounted):
            self.latest = event.reused, event.drawn
            self.tell(PriorsCounted(self.asked, *self._sums()))

    def _sums(self) -> tuple[int, int]:
        return self.before[0] + self.latest[0], self.before[1] + self.latest[1]
