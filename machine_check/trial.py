"""One training of a model with random weights: whether it works, its speed, and its memory beside the plan's count."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..trainer.memory.footprint import Footprint, FootprintEstimator, Work
from ..trainer.memory.levers import Levers
from ..trainer.memory.plan import make_plan
from ..trainer.methods.registry import METHODS
from ..trainer.model.base import Base
from ..trainer.model.precision import autocast, forward_dtype, frozen_text_dtype
from ..trainer.options import TrainOptions
from ..trainer.options.choices import MethodName, Precision
from ..trainer.options.setting import OptionError
from ..trainer.out_of_memory import is_out_of_memory
from ..trainer.presets import LEARNING_RATES
from ..trainer.sampling.sampler import SamplerSettings, draw
from ..trainer.session.setup import build_training
from ..trainer.subject.photos import Photo
from ..trainer.training.encoded import Encoded, encode_images, encode_prompts
from ..trainer.training.step import Training
from .outcome import DOES_NOT_FIT, FAILED, NOT_OFFERED, WORKS, Outcome
from .peak_memory import CpuAllocations, PeakMemory
from .random_model import RandomModel, RandomSource

WARM_UP, LEAST_STEPS = 3, 5
SAMPLE_STEPS = 4
WATCHED = 8
"""Trained tensors whose change is looked at."""


@dataclass(frozen=True)
class Trial:
    """One training of `model`: one instance and one class image a step. base_in_8_bits: see `TrainOptions`."""

    model: RandomModel
    method: MethodName
    precision: Precision = "auto"
    base_in_8_bits: bool = False

    @property
    def name(self) -> str:
        """For people."""
        kind = "LoRA" if self.method == "lora" else "full"
        stored = ", stored in fp8" if self.model.fp8 else ", base in 8 bits" if self.base_in_8_bits else ""
        precision = "" if self.precision == "auto" else f", {self.precision}"
        return f"{self.model.name} {kind}, {self.model.side} px{precision}{stored}"

    def options(self) -> TrainOptions:
        """As a user would have them."""
        return TrainOptions(
            method=self.method, steps=100_000, learning_rate=LEARNING_RATES[self.method], precision=self.precision,
            base_in_8_bits=self.base_in_8_bits, sample_count=0,
        )  # fmt: skip


def try_out(trial: Trial, device: torch.device, seconds: float) -> Outcome:
    """Train for about so many seconds; whatever goes wrong is in the outcome."""
    began = time.perf_counter()
    try:
        outcome = _outcome(trial, device, seconds)
    except OptionError as error:
        outcome = Outcome(trial.name, NOT_OFFERED, str(error))
    except Exception as error:
        lack = is_out_of_memory(error)
        text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        outcome = Outcome(trial.name, DOES_NOT_FIT if lack else FAILED, text)
    return outcome.with_seconds(time.perf_counter() - began)


def _outcome(trial: Trial, device: torch.device, seconds: float) -> Outcome:
    """The outcome of a training that raises no error; errors are left to `try_out`."""
    options, source = trial.options(), trial.model.source(device)
    side, family = trial.model.side, trial.model.family()
    plan = make_plan(source, options, (side, side), True, device, family=family)
    if not plan.fits:
        return Outcome(trial.name, DOES_NOT_FIT, plan.text)
    dtype = forward_dtype(options.precision, device)
    work = Work(images=2, width=side, height=side, device=device.type, dtype=dtype)
    counted = FootprintEstimator(source, family=family).footprint(plan.options, work)
    assert counted is not None
    with PeakMemory(device) as memory:
        base, training = prepare(trial, plan.options, source, device)
        first, before = training.losses(0), _watched(training)
        speed = steps_per_second(training, seconds)
        last = training.losses(0)
    peak, planned = _memory(memory, training, base, counted)
    fault = _fault(float(last.total), before, _watched(training))
    return Outcome(
        name=trial.name,
        status=FAILED if fault else WORKS,
        text=fault or Levers.of(plan.options).in_words,
        steps_per_second=speed,
        peak=peak,
        reserved=memory.reserved,
        counted=planned,
        first_loss=float(first.total),
        sample_seconds=None if fault else _sample_seconds(base, trial),
    )


def prepare(trial: Trial, options: TrainOptions, source: RandomSource, device: torch.device) -> tuple[Base, Training]:
    """The model, and its training before its first step."""
    method = METHODS[options.method]()
    forward = forward_dtype(options.precision, device)
    text_dtype = frozen_text_dtype(options, device.type, forward)
    base = trial.model.load(source, method.load_dtype(options, forward), device, text_dtype)
    encoded = _encoded(base, trial.model.side)
    method.attach(base, options)
    return base, build_training(base, method, options, encoded)


def steps_per_second(training: Training, seconds: float) -> float:
    """Train for about `seconds`, at least five steps after three of warm-up; returns steps per second."""
    device, done = training.device, iter(range(10**9))
    for _ in range(WARM_UP - 1):
        training.step(next(done))
    one = _timed(training, 1, done, device)
    count = max(LEAST_STEPS, int(seconds / one))
    return count / _timed(training, count, done, device)


def _timed(training: Training, count: int, done: Iterator[int], device: torch.device) -> float:
    """Seconds of so many steps, the device's own work included."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(count):
        training.step(next(done))
    synchronize(device)
    return time.perf_counter() - began


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _encoded(base: Base, side: int) -> Encoded:
    """Two prompts, three instance images and two class images."""
    prompts = encode_prompts(base, ["a photo of olt dog", "a photo of a dog"], False)
    instance = encode_images(base, random_photos(3, side), [0] * 3)
    return prompts, instance, encode_images(base, random_photos(2, side), [1] * 2)


def random_photos(count: int, side: int) -> tuple[Photo, ...]:
    """Smooth random pictures of side x side pixels."""
    made = torch.Generator().manual_seed(side)
    coarse = torch.rand(count, 3, 8, 8, generator=made)
    pixels = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    return tuple(Photo(f"{i}.png", one, None, None) for i, one in enumerate(pixels))


def _watched(training: Training) -> list[Tensor]:
    """Copies of the last WATCHED trained tensors; with a LoRA these include B, which the first step changes."""
    return [parameter.detach().to("cpu", torch.float32, copy=True) for parameter in training.parameters[-WATCHED:]]


def _fault(loss: float, before: list[Tensor], after: list[Tensor]) -> str:
    """What is wrong with a training; "" where nothing is."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if not all(bool(torch.isfinite(one).all()) for one in after):
        return "trained weights are not finite"
    if all(torch.equal(one, other) for one, other in zip(before, after, strict=True)):
        return "the steps changed no weight"
    return ""


def _memory(memory: PeakMemory, training: Training, base: Base, counted: Footprint) -> tuple[int, int]:
    """(the most bytes that the training took, the same as planned); sampling comes afterwards and is left out. On a CPU
    of steps after the first one alone: what it encodes images and prompts with lies in the same memory.
    """
    steps = counted.weights + counted.states + counted.step
    if memory.device.type != "cpu":
        return memory.peak, max(steps, counted.encoding)
    trained = {id(module): module for module in (training.objective, base.denoiser)}
    held = {id(one): one for module in trained.values() for one in (*module.parameters(), *module.buffers())}
    states = [one for state in training.optimizer.state.values() for one in state.values() if isinstance(one, Tensor)]
    with CpuAllocations() as allocations:
        training.step(training.done)
    return sum(one.nbytes for one in (*held.values(), *states)) + allocations.peak, steps


def _sample_seconds(base: Base, trial: Trial) -> float:
    """Seconds of one sample picture of four steps. Raises ValueError where it is not finite."""
    side = trial.model.side
    began = time.perf_counter()
    with autocast(forward_dtype(trial.precision, base.device), base.device):
        picture = draw(base, ["a dog"], [0], SamplerSettings(width=side, height=side, steps=SAMPLE_STEPS))
    if not bool(torch.isfinite(picture).all()):
        raise ValueError("the sample picture is not finite")
    return time.perf_counter() - began
