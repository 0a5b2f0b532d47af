"""Prompts, made from templates by inserting the class noun and the identifier [V]."""

from __future__ import annotations

import re
from dataclasses import dataclass

IDENTIFIER_MARK = "[V]"
"""The placeholder of the identifier in templates and captions."""
CLASS_MARK = "{class}"
"""The placeholder of the class noun."""
TRIGGER_MARK = "[trigger]"
"""ai-toolkit's placeholder of the trigger in captions."""

OBJECT = (
    "photo of a|rendering of a|cropped photo of the|photo of a clean|photo of a dirty|dark photo of the|photo of my|"
    "photo of the cool|close-up photo of a|bright photo of the|cropped photo of a|photo of the|good photo of the|"
    "photo of one|close-up photo of the|rendition of the|photo of the clean|rendition of a|photo of a nice|"
    "good photo of a|photo of the nice|photo of the small|photo of the weird|photo of the large|photo of a cool|"
    "photo of a small"
)
STYLE = (
    "painting|rendering|cropped painting|clean painting|dirty painting|dark painting|picture|cool painting|"
    "close-up painting|bright painting|good painting|rendition|nice painting|small painting|weird painting|"
    "large painting"
)
CONTEXTS: dict[str, tuple[str, ...]] = {
    "object": tuple(f"a {start} {IDENTIFIER_MARK}" for start in OBJECT.split("|")),
    "style": tuple(f"a {thing} in the style of {IDENTIFIER_MARK}" for thing in STYLE.split("|")),
    "plain": (f"a {IDENTIFIER_MARK}",),
}
"""{value of `TrainOptions.contexts`: templates around a new word}, as in Gal et al. (ICLR 2023, supplementary), which
has a few of them twice, with "the" for "a".
"""

_MAX_CHARACTERS = 100
"""The length of an identifier and of a class noun, at most."""


@dataclass(frozen=True)
class PromptTemplates:
    """Templates of the instance and the class prompt; [V] stands for the identifier, {class} for the class noun.

    Raises ValueError if a template lacks {class}, `instance` lacks [V], or `class_` has it: class images show the class
    without the subject.
    """

    instance: str = "a [V] {class}"
    class_: str = "a {class}"

    def __post_init__(self) -> None:
        for name, text, marked in (("instance", self.instance, True), ("class", self.class_, False)):
            if CLASS_MARK not in text:
                raise ValueError(
                    f"{name} prompt {text!r} lacks {CLASS_MARK}, the class noun; usual is 'a {CLASS_MARK}'"
                )
            if (IDENTIFIER_MARK in text) is not marked:
                raise ValueError(
                    f"{name} prompt {text!r} {'lacks' if marked else 'holds'} {IDENTIFIER_MARK}, the identifier: "
                    "it belongs into the instance prompt, and into no other"
                )

    def instance_prompt(
        self, identifier: str, class_noun: str, caption: str | None = None, trigger: str = "before the caption"
    ) -> str:
        """The prompt of an instance image: the filled template, with the caption if there is one; the caption alone
        where it holds the template's phrase or the trigger.

        trigger: a value of `TrainOptions.caption_trigger`; where the caption lacks the class noun, "for the class noun"
        is "before the caption". Raises ValueError where a template cannot be filled (`filled`).
        """
        prompt = filled(self.instance, identifier, class_noun)
        if not caption:
            return prompt
        caption = filled(caption, identifier, class_noun)
        name = self.trigger(identifier, class_noun)
        if trigger == "not at all" or _holds(caption, prompt) or _holds(caption, name):
            return caption
        if trigger == "as the first tag":
            return f"{name}, {caption}"
        if trigger == "for the class noun" and _holds(caption, class_noun):
            return _whole(class_noun).sub(lambda _: name, caption, count=1)
        return f"{prompt}, {caption}"

    def class_prompt(self, class_noun: str) -> str:
        """The prompt of class images, without the identifier. Raises ValueError for a bad class noun."""
        return self.class_.replace(CLASS_MARK, checked_class_noun(class_noun))

    def trigger(self, identifier: str, class_noun: str) -> str:
        """The trigger phrase, identifier and class noun, with which any prompt calls the subject."""
        return filled(f"{IDENTIFIER_MARK} {CLASS_MARK}", identifier, class_noun)


def context_prompts(contexts: str, identifier: str, class_noun: str, caption: str | None = None) -> list[str]:
    """The prompts of an instance image around a new word that stands for the noun: every context, followed by the
    caption; the caption alone where it holds the word.

    contexts: a key of CONTEXTS. Raises ValueError for a word that the contexts hold already, and as `filled`.
    """
    word = checked_identifier(identifier)
    if clash := next((text for text in CONTEXTS[contexts] if _holds(text.replace(IDENTIFIER_MARK, ""), word)), None):
        raise ValueError(f"identifier {word!r} exists already: the context {clash!r} holds it. Choose another word")
    prompts = [filled(text, word, class_noun) for text in CONTEXTS[contexts]]
    if not caption:
        return prompts
    # The word stands for the noun too.
    caption = filled(caption.replace(TRIGGER_MARK, IDENTIFIER_MARK), word, class_noun)
    return [caption] if _holds(caption, word) else [f"{prompt}, {caption}" for prompt in prompts]


def filled(text: str, identifier: str, class_noun: str) -> str:
    """`text` with [V] and {class} replaced, and [trigger] by the identifier before the class noun, elsewhere by both.

    Raises ValueError for an identifier that is empty, above 100 characters or not one line, a class noun that `Subject`
    does not accept, and a class noun that contains the identifier.
    """
    word, noun = checked_identifier(identifier), checked_class_noun(class_noun)
    if _holds(noun, word):
        raise ValueError(
            f"class noun {noun!r} holds the identifier {word!r}, so class images would be asked for "
            "with it: choose another identifier, or name the kind alone"
        )
    named = text.replace(IDENTIFIER_MARK, word).replace(CLASS_MARK, noun)
    if TRIGGER_MARK not in named:
        return named
    alone = re.compile(rf"{re.escape(TRIGGER_MARK)}(?=\s+{re.escape(noun)}(?!\w))", re.IGNORECASE)
    return alone.sub(lambda _: word, named).replace(TRIGGER_MARK, f"{word} {noun}")


def checked_class_noun(class_noun: str) -> str:
    """The class noun without surrounding spaces. Raises ValueError; see `Subject`."""
    noun = class_noun.strip()
    if not noun:
        raise ValueError(
            "no class noun: say what the subject is, such as dog or backpack. Without it the model "
            "loses the subject: the paper measures a likeness (DINO) of 0.744 with the right noun, "
            "0.454 with a wrong one and 0.303 with none"
        )
    if IDENTIFIER_MARK in noun:
        raise ValueError(f"class noun {noun!r} holds {IDENTIFIER_MARK}: name the kind alone")
    return _one_line(noun, "class noun")


def checked_identifier(identifier: str) -> str:
    """The identifier without surrounding spaces. Raises ValueError; see `filled`."""
    word = identifier.strip()
    if not word:
        raise ValueError("no identifier: give a rare word, or have one picked")
    return _one_line(word, "identifier")


def _one_line(text: str, what: str) -> str:
    """The text, if it is short enough and printable on one line. Raises ValueError. what: its noun, for errors."""
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"{what} {text[:20]!r}… has {len(text)} characters: use at most {_MAX_CHARACTERS}")
    if not text.isprintable():
        raise ValueError(f"{what} {text!r} holds line breaks or control characters: use one line")
    return text


def _holds(text: str, words: str) -> bool:
    """Whether `text` contains `words` as whole words, ignoring case."""
    return _whole(words).search(text) is not None


def _whole(words: str) -> re.Pattern[str]:
    """The pattern of these as whole words, in any case."""
    return re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)
