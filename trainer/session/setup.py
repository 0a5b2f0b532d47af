"""Setup of a training, the same in every process: encoding, options of one process, method, batches."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ..distributed.processes import Processes
from ..distributed.sharding import whole_component
from ..events import Stop
from ..methods.lora.start import starting_weights
from ..methods.protocol import trained_components
from ..methods.registry import METHODS, Full, Lora, Method
from ..model.base import Base
from ..model.offload import offload_to_file
from ..options import TrainOptions
from ..runs.request import Request
from ..training.batches import Batches
from ..training.encoded import Encoded, EncodedImages, EncodedPrompts, broadcast_encoding, encode_images, encode_prompts
from ..training.step import Training


def method_of(options: TrainOptions, continue_from: Path | None, base: Base, processes: Processes) -> Method:
    """The training method, with the LoRA that it continues, if any. Raises OptionError, CheckpointError
    (`starting_weights`).
    """
    if processes.sharded:
        return Full(partial(whole_component, processes))
    if continue_from is None:
        return METHODS[options.method]()
    return Lora(starting_weights(continue_from, base, options))


def own_options(options: TrainOptions, processes: Processes) -> TrainOptions:
    """The options of one process: its share of the batch size; for a sharded model without memory plan and without
    fitting.
    """
    own = replace(options, batch_size=options.batch_size // processes.count)
    return replace(own, fit_memory=False, memory="off") if processes.sharded else own


def build_training(base: Base, options: TrainOptions, encoded: Encoded | None, processes: Processes) -> Training:
    """A training that is ready for its first step. base: with its method attached. encoded: None where another process
    has it.

    The weights of text encoders that are not trained are offloaded to their file.
    """
    offload_to_file(base, base.text_encoders.keys() - trained_components(base, options).keys())
    prompts, instance, prior = broadcast_encoding(encoded, processes, base.device)
    own = own_options(options, processes)
    place = (own.batch_size, processes.rank, processes.count)
    batches = Batches(instance, prior, base.noise_process, options.seed, *place)
    return Training(base, batches, prompts, own, processes)


def encode_request(
    base: Base, request: Request, stop: Stop
) -> tuple[EncodedPrompts, EncodedImages, EncodedImages | None]:
    """Prompts, instance images, and class images or None, encoded. Raises StoppedEarly where `stop` returns True."""
    subject, options, noun = request.subject, request.options, request.subject.class_noun
    photos = subject.in_training_order
    priors = request.priors if options.prior_weight > 0 else None
    texts = [options.templates.instance_prompt(request.identifier, noun, photo.caption) for photo in photos]
    # Class images get the prompt that they were sampled with: the prior term preserves the class as it is.
    class_texts = [priors.recipe.prompt] if priors else []
    distinct = list(dict.fromkeys([*texts, *class_texts]))
    prompts = encode_prompts(base, distinct, options.train_text_encoder)
    instance = encode_images(base, photos, [distinct.index(text) for text in texts], stop)
    if priors is None:
        return prompts, instance, None
    class_row = distinct.index(priors.recipe.prompt)
    return prompts, instance, encode_images(base, priors.photos(), [class_row] * priors.count, stop)
