"""The report on the photos in the tab: what each is trained as, what belongs to it, and how often it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from .looks import Look

STEPS = 100
"""The steps of which the report says how often a photo is shown, at one photo a step."""
HEADS = ("Photo", "Pixels", "Trained as", f"Shown in {STEPS} steps", "Mask", "Caption", "Faults")


def report_html(looks: Sequence[Look]) -> str:
    """A folded table, with what it comes to above it; "" without a photo that can be used."""
    usable = [one for one in looks if one.picture is not None]
    if not usable:
        return ""
    said = escape(", ".join(_summary(usable)))
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in HEADS)
    rows = "".join(_row(one, STEPS / len(usable)) for one in usable)
    table = f'<table class="dreambooth-photos"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f"<details><summary>Report: {said}</summary>{table}</details>"


def _summary(usable: Sequence[Look]) -> Iterator[str]:
    """How many photos there are, their sizes, captions, masks and faults."""
    yield "1 photo" if len(usable) == 1 else f"{len(usable)} photos"
    sizes = Counter(one.size for one in usable if one.size)
    yield from (f"{count} trained as {width} x {height}" for (width, height), count in sizes.most_common())
    yield f"{sum(bool(one.caption) for one in usable)} with a caption"
    yield f"{sum(one.masked for one in usable)} with a mask"
    found = Counter(fault.name for one in usable for fault in one.advice)
    yield from (f"{count} {name}" for name, count in found.items())


def _row(one: Look, times: float) -> str:
    size = f"{one.size[0]} x {one.size[1]}" if one.size else "as the base"
    faults = ", ".join(fault.name for fault in one.advice)
    cells = (f"{one.pixels[0]} x {one.pixels[1]}", size, f"{times:.3g}", "yes" if one.masked else "–")
    texts = "".join(f"<td>{escape(text)}</td>" for text in (*cells, one.caption or "–", faults or "–"))
    return f'<tr><th scope="row">{escape(one.name)}</th>{texts}</tr>'
