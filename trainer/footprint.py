"""How much memory a run takes on its device, phase by phase: the real modules are run on the meta device, and counted.

Nothing is computed and no weight is read: it takes a second or a few, and no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from .base import Base
from .counted_forward import CountedForward
from .frame import Frame
from .hollow import META, hollow_base
from .live_memory import LiveMemory, nbytes
from .methods import METHODS
from .methods.protocol import trained_components
from .options import TrainOptions
from .weights import prepare_weights

ADAFACTOR_STEP = 10
"""Bytes for each weight while Adafactor steps on it: a float32 gradient, its square or random bits, the answer."""


@dataclass(frozen=True)
class Footprint:
    """Bytes. weights, states: of what trains, and of its optimizer. step: the most that is alive in a step beside them:
    activations, gradients, temporaries. encoding: text encoders, then the VAE with one image. decoding: the VAE's part
    of drawing a sample.
    """

    weights: int
    states: int
    step: int
    encoding: int
    decoding: int

    @property
    def peak(self) -> int:
        """Of the whole run."""
        return max(self.weights + self.states + max(self.step, self.decoding), self.encoding)


@dataclass(frozen=True)
class Work:
    """What one forward has before it. images: instance and prior images together; width, height: pixels.

    device: type of the device. dtype: of autocast, None for float32.
    """

    images: int
    width: int
    height: int
    device: str
    dtype: torch.dtype | None


class Counted:
    """A model of which runs are counted; each count is kept."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._image = lru_cache(self._image_phases)
        self._run = lru_cache(self._training)

    def footprint(self, options: TrainOptions, work: Work) -> Footprint:
        """Of a run with these options."""
        encoding, decoding = self._image(work.width, work.height, work.device)
        return Footprint(*self._run(options, work), encoding, decoding)

    def weights(self, options: TrainOptions, work: Work) -> int:
        """Weights and states alone, which is quick."""
        base = _attached(self._source, options, work)
        return _static(base, options) + _states(_trained(base), options)

    def _training(self, options: TrainOptions, work: Work) -> tuple[int, int, int]:
        base = _attached(self._source, options, work)
        trained = _trained(base)
        return _static(base, options), _states(trained, options), _step(base, options, work, trained)

    def _image_phases(self, width: int, height: int, device: str) -> tuple[int, int]:
        base = hollow_base(self._source, torch.float32)
        vae = nbytes(base.vae)
        side = base.pixels_per_latent
        shape = (1, base.latent_channels, height // side, width // side)
        with torch.no_grad(), CountedForward(None, device):
            with LiveMemory([*base.vae.parameters()]) as encoding:
                base.encode_images(torch.empty(1, 3, height, width, device=META))
            with LiveMemory([*base.vae.parameters()]) as decoding:
                base.decode_latents(torch.empty(shape, device=META))
        text = sum(nbytes(module) for module in base.text_encoders.values())
        return max(text, vae + encoding.peak), max(text, vae + decoding.peak)


def _attached(source: Any, options: TrainOptions, work: Work) -> Base:
    """With its method attached and its weights prepared, as it trains."""
    base = hollow_base(source, work.dtype or torch.float32)
    if options.method == "full":
        base = hollow_base(source, torch.float32)
    METHODS[options.method]().attach(base, options)
    prepare_weights(base, options, work.dtype)
    return base


def _trained(base: Base) -> list[nn.Parameter]:
    return [p for module in base.components().values() for p in module.parameters() if p.requires_grad]


def _static(base: Base, options: TrainOptions) -> int:
    return sum(nbytes(module) for module in trained_components(base, options).values())


def _states(trained: list[nn.Parameter], options: TrainOptions) -> int:
    if options.optimizer == "adamw":
        return 2 * sum(p.nbytes for p in trained)
    return sum(4 * (p.shape[0] + p[0].numel() if p.ndim > 1 else p.numel()) for p in trained)


def _step(base: Base, options: TrainOptions, work: Work, trained: list[nn.Parameter]) -> int:
    if options.checkpointing:
        base.denoiser.enable_gradient_checkpointing()
    if options.fused_backward:
        for parameter in trained:
            parameter.register_post_accumulate_grad_hook(_use)
    shown, told = _shown(base, work)
    forward = CountedForward(work.dtype, work.device)
    with LiveMemory([*base.denoiser.parameters(), *base.denoiser.buffers(), *trained]) as memory, forward:
        conditioning = base.encode_tokens(told) if options.train_text_encoder else _conditioning(base, told)
        conditioning |= base.frame_conditioning([Frame.whole(work.width, work.height)] * work.images)
        answer = base.predict(shown, torch.empty(work.images, device=META), conditioning)
        forward.forget()
        loss = answer.float().square().mean()
        del answer
        # As loss.backward() does, inside of which torch would leave the mode, where checkpoints run forwards.
        Variable._execution_engine.run_backward(
            (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
        )
    # An optimizer's step over all weights, fused or not, needs one more pass over the largest of them.
    most = max(parameter.numel() for parameter in trained)
    gradients = 0 if options.fused_backward else sum(p.nbytes for p in trained)
    return max(memory.peak, gradients + ADAFACTOR_STEP * most)


def _shown(base: Base, work: Work) -> tuple[Tensor, Tensor]:
    side = base.pixels_per_latent
    shape = (work.images, base.latent_channels, work.height // side, work.width // side)
    return torch.empty(shape, device=META), base.tokenize(["a dog"] * work.images).to(META)


@torch.no_grad()
def _conditioning(base: Base, tokens: Tensor) -> dict[str, Tensor]:
    return base.encode_tokens(tokens)


def _use(parameter: nn.Parameter) -> None:
    torch.empty(ADAFACTOR_STEP * parameter.numel(), dtype=torch.uint8, device=META)
    parameter.grad = None
