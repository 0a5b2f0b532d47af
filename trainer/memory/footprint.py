"""How much memory a run takes on its device, phase by phase: the real modules are run on the meta device, and counted.

Nothing is computed and no weight is read: it takes a second or a few, and no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from ..methods.protocol import trained_components
from ..methods.registry import METHODS
from ..model.base import Base
from ..model.families import family_of
from ..model.source import META, Hollow, Source
from ..options import TrainOptions
from ..subject.frame import Frame
from .meta_execution import CountedForward, LiveMemory, nbytes
from .prepare_weights import prepare_weights


def hollow_base(source: Source, dtype: torch.dtype) -> Base:
    """A base as it is loaded from `source`, but for its numbers. dtype: of the denoiser's layers."""
    empty = Hollow(source.name, source.shapes, source.hints)
    # What it answers changes no size, and a family may look at numbers to tell.
    return family_of(source)(empty, "epsilon", dtype).to(META)


@contextmanager
def checkpoints_on_meta() -> Iterator[None]:
    """Torch 2.3 looks for a module of the device's name when it checkpoints, and has none for the meta device."""
    torch.meta = ModuleType("meta")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del torch.meta  # type: ignore[attr-defined]


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


class FootprintEstimator:
    """A model, and what each way of running it has been counted to take."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._image: tuple[int, int] | None = None

    def footprint(self, options: TrainOptions, work: Work, at_most: int | None = None) -> Footprint | None:
        """Of a run with these options; None where weights and states alone, quickly counted, are more than at_most."""
        base = _attached(self._source, options, work)
        trained = _trained(base)
        weights, states = _static(base, options), _states(trained, options)
        if at_most is not None and weights + states > at_most:
            return None
        if self._image is None:
            self._image = _image_phases(base, work)
        return Footprint(weights, states, _step(base, options, work, trained), *self._image)


def _image_phases(base: Base, work: Work) -> tuple[int, int]:
    """What encodes and what decodes one image, the text encoders before it."""
    side, vae = base.pixels_per_latent, [*base.vae.parameters()]
    latents = torch.empty(1, base.latent_channels, work.height // side, work.width // side, device=META)
    with torch.no_grad(), CountedForward(None, work.device):
        with LiveMemory(vae) as encoding:
            base.encode_images(torch.empty(1, 3, work.height, work.width, device=META))
        with LiveMemory(vae) as decoding:
            base.decode_latents(latents)
    text = sum(nbytes(module) for module in base.text_encoders.values())
    return max(text, nbytes(base.vae) + encoding.peak), max(text, nbytes(base.vae) + decoding.peak)


def _attached(source: Source, options: TrainOptions, work: Work) -> Base:
    """With its method attached and its weights prepared, as it trains."""
    base = hollow_base(source, torch.float32 if options.method == "full" else work.dtype or torch.float32)
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
    cached = None if options.train_text_encoder else _conditioning(base, told)
    known = [t for module in base.components().values() for t in (*module.parameters(), *module.buffers())]
    forward = CountedForward(work.dtype, work.device)
    with LiveMemory(known) as memory, forward, checkpoints_on_meta():
        conditioning = cached or base.encode_tokens(told)
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
