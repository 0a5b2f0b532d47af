"""A model's denoising errors of photos under class nouns, by which nouns are suggested (`subject.class_nouns`).

All nouns are measured a few times at one noise level; the best of them again, at both levels and on pictures of other
things, whose errors are the nouns' own means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Conditioning, Model
from ..model.offload import on_device
from ..model.precision import autocast
from ..subject.class_nouns import SHOWN, SuggestedNoun, noun_prompt, ranked_by_error
from ..subject.frame import Frame

LEVELS = (0.3, 0.5)
"""The noise levels, as fractions of the schedule: 0 is clean, 1 is pure noise. Above, the places that the photos show
decide more than the subject does (bench/README.md).
"""
SAMPLES, FIRST = 4, 3
"""Noises at each level; of the first level those that all nouns are measured on."""
AT_ONCE = 8
"""The number of nouns that are shown to the denoiser together."""

Told = Callable[[int], object]
"""A function that is called with the number of measurements just done."""


def measurements(nouns: int, others: int) -> int:
    """How often `suggest_nouns` asks about one noun, in all, at most. others: pictures of other things."""
    again = len(LEVELS) * (SAMPLES + others) - FIRST
    return nouns * FIRST + min(nouns, SHOWN) * again


def suggest_nouns(
    model: Model, pictures: Tensor, nouns: Sequence[str], others: Tensor, told: Told = lambda done: None
) -> tuple[SuggestedNoun, ...]:
    """The SHOWN nouns that fit pictures [N, 3, H, W] in 0..1 best, the best one first.

    others: pictures [M, 3, H, W] of other things; one that is among the pictures is left out. Raises ValueError for a
    model that enlarges pictures, and for errors that are not finite.
    """
    if model.small_picture is not None:
        raise ValueError("an upscaler is shown the picture itself, so that it tells no nouns apart: say the class noun")
    probe, distinct = _Probe.of(model, pictures), list(dict.fromkeys(nouns))
    first = probe.errors(distinct, [(0, sample) for sample in range(FIRST)], told)
    left = [one.noun for one in ranked_by_error(distinct, first.unsqueeze(0))[:SHOWN]]
    measured = first[:, [distinct.index(noun) for noun in left]]
    rest = [(level, sample) for level in range(len(LEVELS)) for sample in range(SAMPLES)][FIRST:]
    errors = torch.cat([measured, probe.errors(left, rest, told)]).unflatten(0, (len(LEVELS), SAMPLES))
    unlike = [one for one in others if not any(torch.equal(one, own) for own in pictures)]
    if not unlike:
        return ranked_by_error(left, errors)
    every = [(level, number) for level in range(len(LEVELS)) for number in range(len(unlike))]
    own = _Probe.of(model, torch.stack(unlike)).errors(left, every, told)
    return ranked_by_error(left, errors, own.unflatten(0, (len(LEVELS), len(unlike))))


@dataclass(frozen=True)
class _Probe:
    """Pictures as latents [N, C, h, w], which a model denoises at the noise levels `timesteps` [L]. frame: the
    pictures' own.
    """

    model: Model
    latents: Tensor
    timesteps: Tensor
    frame: Frame

    @classmethod
    @torch.no_grad()
    def of(cls, model: Model, pictures: Tensor) -> _Probe:
        """Encode the pictures, one at a time."""
        height, width = pictures.shape[-2:]
        with on_device(model, ["vae"]):
            means = [model.encode_images(one.unsqueeze(0).to(model.device)).mean[0] for one in pictures]
        levels = torch.tensor(LEVELS, device=model.device)
        timesteps = model.noise_process.draw_timesteps(levels, means[0].shape).to(model.device)
        return cls(model, torch.stack(means), timesteps, Frame.whole(width, height))

    @torch.no_grad()
    def errors(self, nouns: Sequence[str], samples: Sequence[tuple[int, int]], told: Told) -> Tensor:
        """The mean squared error of the prediction under each noun, for each sample: float32 [S, P] on the CPU.

        A sample is a level and a number: that of the picture and of the noise, both counted from the start again where
        there are no more. So nouns are compared on the same ones, and other pictures have the same noises.
        """
        model = self.model
        with on_device(model, model.text_encoders):
            known = model.encode_prompts([noun_prompt(noun) for noun in nouns])
        # On the device until all are there: the denoiser does not wait for each.
        found = torch.empty(len(samples), len(nouns), device=model.device)
        with on_device(model, ["denoiser"]), autocast(model.forward_dtype("auto"), model.device):
            for row, (level, number) in enumerate(samples):
                for start in range(0, len(nouns), AT_ONCE):
                    part = slice(start, start + AT_ONCE)
                    rows = {name: values[part] for name, values in known.items()}
                    found[row, part] = self._errors(level, number, rows)
                    told(len(nouns[part]))
        return found.cpu()

    def _errors(self, level: int, number: int, conditioning: Conditioning) -> Tensor:
        """The errors [P] of one sample under P prompts."""
        x, process = self.latents[number % len(self.latents)].unsqueeze(0), self.model.noise_process
        noise = randomness.normal(0, "class noun", [level * SAMPLES + number % SAMPLES], x.shape[1:]).to(x)
        t = self.timesteps[level : level + 1]
        noisy, target = process.add_noise(x, noise, t), process.target(x, noise, t)
        prompts = len(next(iter(conditioning.values())))
        rows = conditioning | self.model.frame_conditioning([self.frame] * prompts)
        answer = self.model.predict(noisy.repeat(prompts, 1, 1, 1), t.repeat(prompts), rows)
        return (answer.float() - target.float()).square().flatten(1).mean(1)
