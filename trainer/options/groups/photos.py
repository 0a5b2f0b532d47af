"""How photos and their captions are shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import CaptionTrigger
from ..setting import field_of

setting = partial(field_of, "photos")


@dataclass(frozen=True, kw_only=True)
class PhotoFields:
    """How photos and their captions are shown. See `TrainOptions`."""

    caption_trigger: CaptionTrigger = setting(
        "before the caption",
        "Where the subject's name goes in a caption that lacks it. before the caption: the instance prompt, then the "
        "caption; as the first tag: [V] and the class noun, then the caption; for the class noun: in the place of the "
        "first one in the caption; not at all: the caption is used as it is.",
        added_later=True,
    )
    shuffle_tags: bool = setting(
        False,
        "Show each caption with its tags, the parts between commas, in 16 random orders. Not for whole sentences.",
        added_later=True,
    )
    keep_tags: int = setting(
        0,
        "Tags at a caption's start that shuffle_tags leaves in place, 0 or more.",
        0,
        widget_maximum=75,
        added_later=True,
    )
    caption_dropout: float = setting(
        0.0,
        "How often, 0 to 1, a photo is shown under an empty prompt, often 0.05 to 0.1; above that the subject comes "
        "unasked.",
        0,
        maximum=1,
        added_later=True,
    )
    flip: bool = setting(
        False,
        "Show each photo mirrored half of the time, except where its caption or the prompt names a side or a text. Not "
        "for a subject with writing on it, a parting or anything else of one side: it would be learned both ways.",
        added_later=True,
    )
