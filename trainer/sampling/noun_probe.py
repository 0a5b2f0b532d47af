"""A model's denoising errors of photos under class nouns, by which nouns are suggested (`subject.class_nouns`).

The few nouns that matter are measured often, and the many seldom: each round measures those that are left on further
photos, noises and noise levels, and leaves the best of them.
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

LEVELS = (0.3, 0.5, 0.65, 0.8, 0.92)
"""The noise levels, as fractions of the schedule: 0 is clean, 1 is pure noise."""
ROUNDS = ((5, 16), (10, SHOWN), (20, SHOWN))
"""Of each round: how often a noun was measured when it is over, a multiple of the levels; how many nouns it leaves."""
AT_ONCE = 8
"""The number of nouns that are shown to the denoiser together."""


def measurements(nouns: int) -> int:
    """How often `suggest_nouns` asks the denoiser about one of so many nouns, in all."""
    done = total = 0
    for samples, left in ROUNDS:
        total += nouns * (samples - done)
        done, nouns = samples, min(nouns, left)
    return total


def suggest_nouns(
    model: Model, pictures: Tensor, nouns: Sequence[str], told: Callable[[int], object] = lambda done: None
) -> tuple[SuggestedNoun, ...]:
    """The SHOWN nouns that fit pictures [N, 3, H, W] in 0..1 best, the best one first.

    told: is called with the number of measurements just done, of `measurements`. Raises ValueError for a model that
    enlarges pictures, and for errors that are not finite.
    """
    if model.small_picture is not None:
        raise ValueError("an upscaler is shown the picture itself, so that it tells no nouns apart: say the class noun")
    probe = _Probe.of(model, pictures)
    left, measured = list(dict.fromkeys(nouns)), 0
    errors = torch.empty(0, len(left))
    for samples, kept in ROUNDS:
        errors = torch.cat([errors, probe.errors(left, range(measured, samples), told)])
        ranked = ranked_by_error(left, errors, [sample % len(LEVELS) for sample in range(samples)])[:kept]
        columns = [left.index(one.noun) for one in ranked]
        left, errors, measured = [one.noun for one in ranked], errors[:, columns], samples
    return ranked


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
    def errors(self, nouns: Sequence[str], samples: Sequence[int], told: Callable[[int], object]) -> Tensor:
        """The mean squared error of the prediction under each noun, for each sample: float32 [S, P] on the CPU.

        A sample's index decides its picture, noise and level, so that nouns are compared on the same ones.
        """
        model = self.model
        with on_device(model, model.text_encoders):
            known = model.encode_prompts([noun_prompt(noun) for noun in nouns])
        found = torch.empty(len(samples), len(nouns))
        with on_device(model, ["denoiser"]), autocast(model.forward_dtype("auto"), model.device):
            for row, sample in enumerate(samples):
                for start in range(0, len(nouns), AT_ONCE):
                    part = slice(start, start + AT_ONCE)
                    found[row, part] = self._errors(sample, {name: rows[part] for name, rows in known.items()})
                    told(len(nouns[part]))
        return found

    def _errors(self, sample: int, conditioning: Conditioning) -> Tensor:
        """The errors [P] of one sample under P prompts."""
        level = sample % len(LEVELS)
        x = self.latents[(level + sample // len(LEVELS)) % len(self.latents)].unsqueeze(0)
        noise = randomness.normal(0, "class noun", [sample], x.shape[1:]).to(x)
        t = self.timesteps[level : level + 1]
        noisy, target = self.model.noise_process.add_noise(x, noise, t), self.model.noise_process.target(x, noise, t)
        prompts = len(next(iter(conditioning.values())))
        rows = conditioning | self.model.frame_conditioning([self.frame] * prompts)
        answer = self.model.predict(noisy.repeat(prompts, 1, 1, 1), t.repeat(prompts), rows)
        return (answer.float() - target.float()).square().mean((1, 2, 3)).cpu()
