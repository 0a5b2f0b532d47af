"""The words for a scene: `a red car on the beach`."""

from __future__ import annotations

from .palette import PLACES

PHRASINGS = ("a {}", "a photo of a {}", "{}")
"""How a caption may begin; drawn with the weights below."""
PHRASING_WEIGHTS = (0.75, 0.18, 0.07)


def write_caption(
    noun: str, place: str | None, colour: str | None, adjective: str | None, phrasing: str = "a {}"
) -> str:
    """The caption of one scene; what is None stays unsaid. "an" is used where the next word asks for it."""
    words = " ".join(word for word in (adjective, colour, noun) if word)
    text = phrasing.format(words)
    if words[0] in "aeiou":
        text = text.replace(f"a {words}", f"an {words}")
    return f"{text} {PLACES[place]}" if place else text
