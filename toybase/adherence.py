"""How often the base draws what it is asked for, as the judge sees it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from .captions import write_caption
from .judge import Judge
from .palette import COLOURS, NOUNS, PLACES
from .sample import sample

AT_ONCE = 33


@dataclass(frozen=True)
class Adherence:
    """Shares of samples in which the judge's first answer is the word of the prompt, 0 to 1."""

    noun: float
    place: float
    colour: float
    by_noun: dict[str, float]

    def __str__(self) -> str:
        weakest = sorted(self.by_noun, key=lambda noun: self.by_noun[noun])[:5]
        worst = ", ".join(f"{noun} {self.by_noun[noun]:.0%}" for noun in weakest)
        return f"noun {self.noun:.1%}, place {self.place:.1%}, colour {self.colour:.1%}; weakest nouns: {worst}"


AT_PLACES = [(noun, place) for place in PLACES for noun in NOUNS]
IN_COLOURS = [(noun, colour) for colour in COLOURS for noun in NOUNS]


def adherence(judge: Judge, pictures: Tensor) -> Adherence:
    """What a judge sees in the pictures of `drawn_for_adherence`."""
    nouns = torch.tensor([NOUNS.index(noun) for noun, _ in AT_PLACES + IN_COLOURS])
    opinion = judge.look(pictures)
    noun_right = (opinion.noun.argmax(1) == nouns).float()
    places = torch.tensor([list(PLACES).index(place) for _, place in AT_PLACES])
    colours = torch.tensor([list(COLOURS).index(colour) for _, colour in IN_COLOURS])
    return Adherence(
        noun=float(noun_right.mean()),
        place=float((opinion.place[: len(places)].argmax(1) == places).float().mean()),
        colour=float((opinion.colour[len(places) :].argmax(1) == colours).float().mean()),
        by_noun={noun: float(noun_right[nouns == index].mean()) for index, noun in enumerate(NOUNS)},
    )


def drawn_for_adherence(denoiser: UNet2DConditionModel, vae: AutoencoderKL, size: int) -> Tensor:
    """[627, 3, size, size] in -1 to 1: every noun at every place, then every noun in every colour; guidance as `sample`
    has it.
    """
    prompts = [write_caption(noun, place, None, None) for noun, place in AT_PLACES]
    prompts += [write_caption(noun, None, colour, None) for noun, colour in IN_COLOURS]
    starts = range(0, len(prompts), AT_ONCE)
    parts = [sample(denoiser, vae, prompts[i : i + AT_ONCE], size, seed=i) for i in starts]
    return torch.cat(parts).float().clamp(-1, 1)
