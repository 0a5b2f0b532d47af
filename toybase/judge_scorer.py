"""The judges as scorers (see `trainer.scores.scorer`): for pictures of the embedded base."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..trainer.files.hashes import digest_of
from ..trainer.model.fingerprint import Sample, has_the_sampled_weights
from .judge import FILES, Judge, load_judge
from .palette import COLOURS, NOUNS, PLACES
from .quantize import WEIGHTS, load_stored
from .writer import DENOISER

ANYWHERE_BUT = ", anywhere but "
"""What a text names places behind that a picture should not show."""


class JudgeScorer:
    """A judge that was trained on toybase's world: its words are that world's nouns and places."""

    meaning = "the probability that the judge gives to the place asked for"
    margin = 0.05
    reads_texts = True

    def __init__(self, second: bool = False) -> None:
        self.name = "second judge" if second else "judge"
        self._judge: Judge = load_judge(second)
        self.fingerprint = digest_of([WEIGHTS / FILES["b" if second else "a"]])

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine of embeddings, -1 to 1."""
        return (self._embedded(pictures) @ self._embedded(photos).T).mean(1)

    def prompt_following(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """The probability that the judge gives to the place that the text names, 0 to 1; times that of a colour, where
        it names one. Of two places at once twice the smaller probability, 1 where both are seen alike. After
        ANYWHERE_BUT: the probability of any other place.

        Raises ValueError for a text that names neither a place nor a colour.
        """
        seen = self._judge.look(pictures * 2 - 1)
        rows = zip(texts, seen.place, seen.colour, strict=True)
        return torch.stack([_follows(text, place, colour) for text, place, colour in rows])

    def shows(self, pictures: Tensor, class_noun: str) -> Tensor:
        """Whether the judge's first noun is `class_noun`."""
        return (self._judge.look(pictures * 2 - 1).noun.argmax(1) == NOUNS.index(class_noun)).float()

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean distance of the judge's feature maps, in the manner of LPIPS."""
        return self._judge.distances(pictures * 2 - 1).sum(1) / max(1, len(pictures) - 1)

    def pairwise_similarity(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Minus the distance of the judge's feature maps, which show the background as well."""
        both = torch.cat([pictures, photos]) * 2 - 1
        return -self._judge.distances(both)[: len(pictures), len(pictures) :]

    def calibrated(self, pictures: Tensor, texts: Sequence[str]) -> JudgeScorer:
        """This scorer: the judge knows the world's places."""
        return self

    def _embedded(self, pictures: Tensor) -> Tensor:
        return self._judge.look(pictures * 2 - 1).embedding


def is_embedded_base(sample: Sample) -> bool:
    """Whether a model is the embedded base, by a sample of its denoiser's weights (`trainer.model.fingerprint`)."""
    stored = DENOISER.to_original(load_stored("denoiser"))
    own = {name.removeprefix(DENOISER.prefix): tensor for name, tensor in stored.items()}
    return bool(sample) and has_the_sampled_weights(sample, own.get)


def _follows(text: str, place: Tensor, colour: Tensor) -> Tensor:
    """How far a picture shows a text, a scalar; see `prompt_following`. place, colour: of the judge's `Opinion`."""
    asked, _, avoided = text.partition(ANYWHERE_BUT)
    if avoided:
        return 1 - place[_named(avoided, PLACES.values())].sum()
    places, colours = _named(asked, PLACES.values()), _named(asked, COLOURS)
    if not places and not colours:
        raise ValueError(
            f"the judge knows toybase's places and colours alone, and {text!r} names none: give --dino and --clip"
        )
    following = colour[colours].prod()
    return following * len(places) * place[places].min() if places else following


def _named(text: str, words: Iterable[str]) -> list[int]:
    """The numbers of the words that a text names."""
    return [number for number, word in enumerate(words) if re.search(rf"\b{word}\b", text)]
