"""The prompts of a request's photos and class images, as texts and as rows of the `EncodedPrompts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch

from .. import randomness
from ..files.safetensors import listed
from ..prompts import context_prompts
from ..runs.request import Request
from ..subject.photos import Photo
from ..subject.sides import side_named
from ..subject.subject import Subject
from ..training.prompt_variants import PromptVariants
from ..wording import Wording

ORDERS = 16
"""The number of orders in which a caption's tags are shown: the conditioning of each is computed once and kept."""


@dataclass(frozen=True)
class ShownPrompts:
    """The prompts of a request. Raises ValueError where one cannot be made (see `PromptTemplates`)."""

    request: Request

    @cached_property
    def of_photos(self) -> list[list[list[str]]]:
        """For each photo in training order its prompts, and for each of these its variants, one or more texts. Around a
        new word a photo has a prompt for every context, else one; a photo that is to be shown more often than others
        has it as many times.
        """
        each = self.request.trained_subject.each
        owners = [(one, photo) for one in each for photo in one.in_training_order]
        return [self._of_photo(number, *owner) * owner[0].repeats for number, owner in enumerate(owners)]

    @cached_property
    def of_class(self) -> dict[str, str]:
        """{class noun: the prompt of its prior examples}; empty where there are none. Class images get the one that
        they were sampled with: the prior term preserves the class as it is.
        """
        request, options = self.request, self.request.options
        if request.class_images is not None:
            return request.class_images.prompts
        compared = options.prior_in_use == "compare with the base"
        return {noun: options.templates.class_prompt(noun) for noun in self.classes} if compared else {}

    @cached_property
    def of_held_out(self) -> list[str]:
        """The prompt of the photo that is held out, as it would be trained under first; empty where none is."""
        photo = self.request.held_out
        return [] if photo is None else self._of_photo(0, self.request.subject, photo)[0][:1]

    @property
    def classes(self) -> list[str]:
        """The class nouns of the subjects, each once."""
        return list(self.request.subject.sizes_by_class)

    @property
    def class_of_photos(self) -> list[int]:
        """The number of each photo's class among `classes`, in training order."""
        each = self.request.trained_subject.each
        return [self.classes.index(one.class_noun) for one in each for _ in one.in_training_order]

    @cached_property
    def distinct(self) -> list[str]:
        """All prompts, each once, in the order of their rows."""
        variants = chain.from_iterable(chain.from_iterable(self.of_photos))
        empty = [""] if self.request.options.caption_dropout else []
        return list(dict.fromkeys([*variants, *self.of_class.values(), *empty, *self.of_held_out]))

    def row(self, text: str) -> int:
        """The row of a prompt."""
        return self._rows[text]

    @cached_property
    def _rows(self) -> dict[str, int]:
        """{prompt: its row}."""
        return {text: row for row, text in enumerate(self.distinct)}

    @property
    def first_rows(self) -> list[list[int]]:
        """For each photo the row of the first variant of each of its prompts."""
        return [[self.row(variants[0]) for variants in prompts] for prompts in self.of_photos]

    @property
    def variants(self) -> PromptVariants | None:
        """The variants of every prompt of every photo, in order; None where each has one and none is dropped."""
        every, dropout = list(chain.from_iterable(self.of_photos)), self.request.options.caption_dropout
        if not dropout and all(len(variants) == 1 for variants in every):
            return None
        rows = tuple(tuple(map(self.row, variants)) for variants in every)
        return PromptVariants(rows, dropout, self.row("") if dropout else 0)

    @cached_property
    def flipped(self) -> list[Photo]:
        """The photos that are shown mirrored half of the time: all that no prompt names a side or a text of."""
        return [photo for photo, word in self._sides if word is None] if self.request.options.flip else []

    @cached_property
    def _sides(self) -> list[tuple[Photo, str | None]]:
        """Each photo, and what names a side or a text in one of its prompts."""
        pairs = zip(self.request.trained_subject.in_training_order, self.of_photos, strict=True)
        return [(photo, side_named(" ".join(chain.from_iterable(prompts)))) for photo, prompts in pairs]

    def warnings(self) -> Iterator[Wording]:
        """What the options ask for that these captions do not allow."""
        if self.request.options.shuffle_tags and all(
            len(variants) == 1 for variants in chain.from_iterable(self.of_photos)
        ):
            yield Wording(
                "shuffle_tags is on and changes nothing: no caption has two tags with a comma between them that may "
                "change places. Write captions as tags, or lower keep_tags."
            )
        named = [f"{photo.name} ({word})" for photo, word in self._sides if word is not None]
        if self.request.options.flip and named:
            yield Wording("Not mirrored, because a prompt names a side or a text: {0}.", listed(named))

    def _of_photo(self, number: int, one: Subject, photo: Photo) -> list[list[str]]:
        """The prompts of one photo of a subject, each as the list of its variants. number: of the photo."""
        options, noun, word = self.request.options, one.class_noun, self.request.identifier_of(one)
        captions = self._captions(number, photo.caption)
        if options.learns_word:
            prompts = [context_prompts(options.contexts, word, noun, caption) for caption in captions]
            return [list(variants) for variants in zip(*prompts, strict=True)]
        trigger = options.caption_trigger
        return [[options.templates.instance_prompt(word, noun, caption, trigger) for caption in captions]]

    def _captions(self, number: int, caption: str | None) -> Sequence[str | None]:
        """A photo's caption in all orders of its tags. number: of the photo, on which the orders depend."""
        options = self.request.options
        if caption is None or not options.shuffle_tags:
            return [caption]
        tags = [tag.strip() for tag in caption.split(",") if tag.strip()]
        kept, moved = tags[: options.keep_tags], tags[options.keep_tags :]
        if len(moved) < 2:
            return [caption]
        drawn = (randomness.generator(options.seed, f"tags.order.{number}", order) for order in range(ORDERS))
        orders = (torch.randperm(len(moved), generator=generator).tolist() for generator in drawn)
        return [", ".join([*kept, *(moved[place] for place in order)]) for order in orders]
