"""Setup of a training, the same in every rank: options of one process, method, encoding, batches."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..distributed.ranks import SINGLE_PROCESS, Ranks
from ..events import Stop
from ..memory.prepare_weights import prepare_weights
from ..methods.registry import METHODS, Method, new_method
from ..model.base import Base, Model
from ..model.cpu_kernels import use_cpu_kernels
from ..model.noise_process import with_density
from ..model.offload import offload_to_file
from ..options import TrainOptions
from ..runs.request import Request
from ..training.batches import Batches
from ..training.encoded import Encoded, encode_images, encode_prompts, moved
from ..training.noise import Noise
from ..training.noisy_pictures import noisy_pictures
from ..training.objective import DreamBoothObjective
from ..training.step import Training
from .shown_prompts import ShownPrompts

CPU = torch.device("cpu")


def method_of(request: Request, base: Model, ranks: Ranks = SINGLE_PROCESS) -> Method[Any]:
    """The training method that a request's options choose for a `Base`. What it continues from is read by the first
    process for all.

    Raises OptionError where that does not fit the options, CheckpointError where its file cannot be read.
    """
    assert isinstance(base, Base)
    kind, file, options = METHODS[request.options.method], request.continue_from, request.options
    start = None if file is None else ranks.decided(lambda: kind.read_start(file, base, options))
    return new_method(options, request.identifier, request.subject.class_noun, start)


def own_options(options: TrainOptions, ranks: Ranks) -> TrainOptions:
    """The options of one process: its share of the batch size."""
    return replace(options, batch_size=options.batch_size // ranks.count)


def build_training(
    base: Model, method: Method[Any], options: TrainOptions, encoded: Encoded, ranks: Ranks = SINGLE_PROCESS
) -> Training:
    """A training that is ready for its first step. base: with its method attached. options: of all ranks together.

    The weights of a `Base` are prepared for it. Raises OptionError for options that the device does not allow.
    """
    prompts, instance, prior = encoded
    own, components = own_options(options, ranks), method.components(base, options)
    dtype = base.forward_dtype(own.precision)
    if isinstance(base, Base):
        offload_to_file(base, base.text_encoders.keys() - components.keys())
        prepare_weights(base, own, dtype, components.values())
        if not ranks.sharded:
            use_cpu_kernels(base.denoiser, instance.mean[0].unsqueeze(0))
    place = (own.batch_size, own.accumulation, ranks.rank, ranks.count)
    noise_process = with_density(base.noise_process, own.timestep_density)
    noise = Noise(own.noise_offset, own.multires_noise_levels, own.multires_noise_discount)
    batches = Batches(instance, prior, noise_process, own.seed, *place, noise, noisy_pictures(base, own))
    objective = DreamBoothObjective(base, method, components, prompts, own, dtype)
    groups = method.parameter_groups(base, own)
    around = partial(method.before_update, base, own), partial(method.after_update, base, own)
    return Training(objective, groups, batches, own, base.device, ranks, *around)


def encode_request(base: Model, request: Request, stop: Stop, ranks: Ranks = SINGLE_PROCESS) -> Encoded:
    """Prompts, instance images, and what the prior term is of or None, encoded by the first rank for all: class images,
    or the photos under the class prompt where the base's answer to them is compared.

    Raises StoppedEarly where `stop` returns True.
    """
    if not ranks.several:
        return _encoded(base, request, stop)
    cpu = ranks.decided(lambda: moved(_encoded(base, request, stop), CPU))
    return moved(cpu, base.device)


def _encoded(base: Model, request: Request, stop: Stop) -> Encoded:
    """The request's prompts and images, encoded."""
    shown, priors = ShownPrompts(request), request.class_images
    prompts = encode_prompts(base, shown.distinct, request.options.trains_conditioning)
    rows, photos = shown.first_rows, request.trained_subject.in_training_order
    firsts = [first for first, *_ in rows]
    instance = replace(encode_images(base, photos, firsts, stop), classes=tuple(shown.class_of_photos))
    if flipped := shown.flipped:
        twins = [photo.mirrored() if photo in flipped else photo for photo in photos]
        instance = replace(instance, mirrored=encode_images(base, twins, firsts, stop))
    instance = replace(instance.with_prompts(rows), variants=shown.variants)
    if not shown.of_class:
        return prompts, instance, None
    class_rows = [shown.row(shown.of_class[noun]) for noun in shown.classes]
    if priors is None:
        return prompts, instance, instance.under(class_rows)
    classes = [shown.classes.index(noun) for noun in priors.nouns]
    images = encode_images(base, priors.photos(), [class_rows[number] for number in classes], stop)
    return prompts, instance, replace(images, classes=tuple(classes))
