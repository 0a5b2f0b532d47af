"""A request as the denoiser is shown it: prompts, photos and class images, encoded once."""

from __future__ import annotations

from .base import Base
from .encoded import EncodedImages, EncodedPrompts, encode_images, encode_prompts
from .events import Stop
from .request import Request


def encode_request(
    base: Base, request: Request, stop: Stop
) -> tuple[EncodedPrompts, EncodedImages, EncodedImages | None]:
    """Prompts, instance images, and class images or None. Raises StoppedEarly where `stop` says True."""
    subject, options, noun = request.subject, request.options, request.subject.class_noun
    photos, templates = subject.in_training_order, options.templates
    texts = [templates.instance_prompt(request.identifier, noun, photo.caption) for photo in photos]
    distinct = list(dict.fromkeys([*texts, templates.class_prompt(noun)]))
    prompts = encode_prompts(base, distinct, options.train_text_encoder)
    instance = encode_images(base, photos, [distinct.index(text) for text in texts], stop)
    priors = request.priors if options.prior_weight > 0 else None
    if priors is None:
        return prompts, instance, None
    class_row = distinct.index(templates.class_prompt(noun))
    return prompts, instance, encode_images(base, priors.photos(), [class_row] * priors.count, stop)
