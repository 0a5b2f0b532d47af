"""The memory that a run takes on its device, by phase, counted by running the real modules on the meta device.

No values are computed and no weights are read: it takes a few seconds and hardly any memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from ..methods.full import REFERS_TO_THE_BASE
from ..methods.registry import new_method
from ..model.base import Base
from ..model.families import family_of
from ..model.precision import frozen_text_dtype
from ..model.source import META, ShapesOnly, Source
from ..options import TrainOptions
from ..subject.frame import Frame
from .meta_execution import CountedForward, LiveMemory, nbytes
from .prepare_weights import prepare_weights


def hollow_base(
    source: Source,
    dtype: torch.dtype,
    text_dtype: torch.dtype = torch.float32,
    family: type[Base] | None = None,
) -> Base:
    """A base like the one loaded from `source`, with all tensors on the meta device. dtype: of the
    denoiser's layers. text_dtype: of the text encoders'. family: of the source; None: the one that recognises it.
    """
    empty = ShapesOnly(source.name, source.shapes, source.hints)
    # The prediction type changes no size, and a family may need the weights' values to determine it.
    return (family or family_of(source))(empty, "epsilon", dtype, None, text_dtype).to(META)


@contextmanager
def checkpoints_on_meta() -> Iterator[None]:
    """A context in which gradient checkpointing works on the meta device: torch 2.3 looks up a torch module of the
    device's name, and has none for "meta".
    """
    torch.meta = ModuleType("meta")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del torch.meta  # type: ignore[attr-defined]


ADAFACTOR_STEP = 10
"""Bytes per weight during Adafactor's step on it: a float32 gradient, its square or random bits, the bf16 result."""

GATHERED_BLOCKS = 2
"""The blocks of a sharded model that are whole at a time: the one that computes and the next one."""


@dataclass(frozen=True)
class Footprint:
    """The bytes that a run takes, by phase. weights: of the trained components. states: of the optimizer.

    step: the peak of a training step beside these two: activations, gradients, temporaries. encoding: the peak while
    text encoders and then the VAE encode, one image at a time. decoding: the peak of the VAE's part in sampling an
    image.
    """

    weights: int
    states: int
    step: int
    encoding: int
    decoding: int

    @property
    def peak(self) -> int:
        """The peak of the whole run in bytes."""
        return max(self.weights + self.states + max(self.step, self.decoding), self.encoding)


@dataclass(frozen=True)
class Work:
    """The size of one forward pass. images: instance and prior images together; width, height: of an image in pixels.

    device: the device's type. dtype: of autocast, None for float32.
    """

    images: int
    width: int
    height: int
    device: str
    dtype: torch.dtype | None


class FootprintEstimator:
    """An estimator of a model's footprints; phases that depend on the image size only are counted once.

    shards: the number of processes that the trained components are sharded over (FSDP); 1 for none. family: of the
    source; None: the one that recognises it.
    """

    def __init__(self, source: Source, shards: int = 1, family: type[Base] | None = None) -> None:
        self.source, self._shards = source, shards
        self.family = family or family_of(source)
        self._image: tuple[int, int] | None = None

    def footprint(self, options: TrainOptions, work: Work, at_most: int | None = None) -> Footprint | None:
        """The footprint of a run with these options; None where weights and states alone, which are counted quickly,
        exceed `at_most` bytes.
        """
        base, components = _attached(self.source, options, work, self.family)
        trained = [p for module in components for p in module.parameters() if p.requires_grad]
        # A prior that compares with the base keeps a copy of what full fine-tuning changes.
        copies = 2 if options.method == "full" and options.prior_in_use in REFERS_TO_THE_BASE else 1
        static, states = copies * sum(map(nbytes, components)), _states(trained, options) // self._shards
        weights = static if self._shards == 1 else static // self._shards + GATHERED_BLOCKS * _largest_block(components)
        if at_most is not None and weights + states > at_most:
            return None
        if self._image is None:
            self._image = _image_phases(base, work)
        step = _step(base, options, work, trained, self._shards)
        # While an average draws, the weights in training are kept beside it.
        kept = sum(map(nbytes, trained)) if options.ema_decay or options.optimizer_kind.averages else 0
        encoding, decoding = self._image
        return Footprint(weights, states, step, encoding, decoding + kept)


def _image_phases(base: Base, work: Work) -> tuple[int, int]:
    """(peak of encoding, peak of decoding) of one image, in bytes; neither is less than the text encoders take."""
    side, vae = base.pixels_per_latent, [*base.vae.parameters()]
    latents = torch.empty(1, base.latent_channels, work.height // side, work.width // side, device=META)
    with torch.no_grad(), CountedForward(None, work.device):
        with LiveMemory(vae) as encoding:
            base.encode_images(torch.empty(1, 3, work.height, work.width, device=META))
        with LiveMemory(vae) as decoding:
            base.decode_latents(latents)
    text = sum(nbytes(module) for module in base.text_encoders.values())
    return max(text, nbytes(base.vae) + encoding.peak), max(text, nbytes(base.vae) + decoding.peak)


def _attached(source: Source, options: TrainOptions, work: Work, family: type[Base]) -> tuple[Base, list[nn.Module]]:
    """A base on the meta device with its method attached and its weights prepared for training, and the components that
    hold trained weights.
    """
    method = new_method(options, "[V]", "thing")
    text_dtype = frozen_text_dtype(options, work.device, work.dtype)
    base = hollow_base(source, method.load_dtype(options, work.dtype), text_dtype, family)
    method.attach(base, options)
    components = [*method.components(base, options).values()]
    prepare_weights(base, options, work.dtype, components)
    return base, components


def _largest_block(components: list[nn.Module]) -> int:
    """The bytes of the largest group of weights that FSDP gathers as one: those of an element of a module list without
    the elements within it, or those outside of all lists.
    """
    owners: dict[nn.Parameter, int] = {p: -1 for module in components for p in module.parameters()}
    lists = (part for module in components for part in module.modules() if isinstance(part, nn.ModuleList))
    # Inner elements come after those around them.
    for number, block in enumerate(block for blocks in lists for block in blocks):
        owners.update(dict.fromkeys(block.parameters(), number))
    sizes: dict[int, int] = {}
    for parameter, owner in owners.items():
        sizes[owner] = sizes.get(owner, 0) + parameter.nbytes
    return max(sizes.values())


def _states(trained: list[nn.Parameter], options: TrainOptions) -> int:
    """The bytes of the optimizer's states, and of a moving average."""
    average = 4 * sum(p.numel() for p in trained) if options.ema_decay else 0
    return average + sum(options.optimizer_kind.state_bytes(p.shape) for p in trained)


def _step(base: Base, options: TrainOptions, work: Work, trained: list[nn.Parameter], shards: int) -> int:
    """The peak of one training step in bytes, beside weights and states. shards: see `FootprintEstimator`."""
    if options.checkpointing:
        base.denoiser.enable_gradient_checkpointing()
    if options.fused_backward:
        for parameter in trained:
            parameter.register_post_accumulate_grad_hook(_use)
    shown, told = _shown(base, work)
    cached = None if options.trains_conditioning else _conditioning(base, told, work)
    known = [t for module in base.components().values() for t in (*module.parameters(), *module.buffers())]
    forward = CountedForward(work.dtype, work.device)
    with LiveMemory(known) as memory, forward, checkpoints_on_meta():
        conditioning = cached or base.encode_tokens(told)
        conditioning |= base.frame_conditioning([Frame.whole(work.width, work.height)] * work.images)
        if base.small_picture is not None:
            conditioning |= base.small_picture.grey(shown)
        answer = base.predict(shown, torch.empty(work.images, device=META), conditioning)
        forward.forget()
        loss = answer.float().square().mean()
        del answer
        # Like loss.backward(), in which torch would leave the mode while checkpoints run their forwards.
        Variable._execution_engine.run_backward(
            (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
        )
    # An optimizer's step over all weights, fused or not, needs one more pass over the largest of them.
    most = max(parameter.numel() for parameter in trained)
    gradients = 0 if options.fused_backward else sum(p.nbytes for p in trained)
    # Each block's gradients are spread over the processes as soon as they are complete.
    kept_elsewhere = gradients - gradients // shards
    return max(memory.peak, gradients + ADAFACTOR_STEP * most) - kept_elsewhere


def _shown(base: Base, work: Work) -> tuple[Tensor, Tensor]:
    """The denoiser's input and the token ids of one forward pass, on the meta device."""
    side = base.pixels_per_latent
    shape = (work.images, base.latent_channels, work.height // side, work.width // side)
    return torch.empty(shape, device=META), base.tokenize(["a dog"] * work.images).to(META)


@torch.no_grad()
def _conditioning(base: Base, tokens: Tensor, work: Work) -> dict[str, Tensor]:
    """The conditioning for these token ids in float32, without gradients."""
    with CountedForward(None if base.text_dtype == torch.float32 else base.text_dtype, work.device):
        encoded = base.encode_tokens(tokens)
        return {name: value.float() if value.is_floating_point() else value for name, value in encoded.items()}


def _use(parameter: nn.Parameter) -> None:
    """The memory of a fused backward's step on one parameter: temporaries, then the gradient is released."""
    torch.empty(ADAFACTOR_STEP * parameter.numel(), dtype=torch.uint8, device=META)
    parameter.grad = None
