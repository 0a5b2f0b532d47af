"""A request as the denoiser is shown it: prompts, photos and class images, encoded once."""

from __future__ import annotations

from ..events import Stop
from ..model.base import Base
from ..runs.request import Request
from ..training.encoded import EncodedImages, EncodedPrompts, encode_images, encode_prompts


def encode_request(
    base: Base, request: Request, stop: Stop
) -> tuple[EncodedPrompts, EncodedImages, EncodedImages | None]:
    """Prompts, instance images, and class images or None. Raises StoppedEarly where `stop` says True."""
    subject, options, noun = request.subject, request.options, request.subject.class_noun
    photos = subject.in_training_order
    priors = request.priors if options.prior_weight > 0 else None
    texts = [options.templates.instance_prompt(request.identifier, noun, photo.caption) for photo in photos]
    # Class images under the prompt that they were drawn with: the second term is to hold, and not to pull.
    class_texts = [priors.recipe.prompt] if priors else []
    distinct = list(dict.fromkeys([*texts, *class_texts]))
    prompts = encode_prompts(base, distinct, options.train_text_encoder)
    instance = encode_images(base, photos, [distinct.index(text) for text in texts], stop)
    if priors is None:
        return prompts, instance, None
    class_row = distinct.index(priors.recipe.prompt)
    return prompts, instance, encode_images(base, priors.photos(), [class_row] * priors.count, stop)
