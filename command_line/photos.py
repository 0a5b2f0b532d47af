"""`photos`: what a folder of photos holds, and how a training would show it, before anything is trained."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .answer import answer
from .flags import Commands, add_json

SIDE, STEPS, MOST = 512, 800, 200
"""The size and length of the training where nothing is said, and the photos that are looked at, at most."""


def add_parser(commands: Commands) -> None:
    """Folder, size, and how long the training is."""
    parser = commands.add_parser("photos", help="look a folder of photos over before anything is trained")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos of a subject, or folders of several")
    parser.add_argument("--noun", default="", help="what the subject is, where its folder does not say it")
    parser.add_argument("--width", type=int, default=SIDE, help=f"of the training, in pixels (default: {SIDE})")
    parser.add_argument("--height", type=int, default=0, help="in pixels (default: as --width)")
    whole = "each photo in its own shape, at about WIDTH x HEIGHT pixels"
    parser.add_argument("--buckets", action=argparse.BooleanOptionalAction, default=False, help=whole)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the training (default: {STEPS})")
    parser.add_argument("--batch-size", type=int, default=1, help="photos in a step, all together (default: 1)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say what the folder holds; 0."""
    from ..trainer.subject.buckets import TrainingSize
    from ..trainer.subject.photo_report import photo_report

    size = TrainingSize(arguments.width, arguments.height or arguments.width, arguments.buckets)
    report = photo_report(arguments.folder, size, arguments.noun, shown=MOST)
    draws = arguments.steps * arguments.batch_size
    photos = [_plain(photo, draws) for photo in report["photos"]]
    report = {**report, "photos": photos, "steps": arguments.steps, "batch_size": arguments.batch_size}
    answer(arguments, report, "\n".join(_lines(report)))
    return 0


def _plain(photo: dict[str, Any], draws: int) -> dict[str, Any]:
    """A photo of the report without its picture, its faults as sentences, and how often it would be shown."""
    from ..trainer.wording import Wording

    faults = [{"name": fault["name"], "why": str(Wording(*fault["why"]))} for fault in photo["faults"]]
    rest = {name: value for name, value in photo.items() if name != "thumbnail"}
    return {**rest, "faults": faults, "shown": round(draws * photo["share"], 1)}


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for people."""
    count, photos = report["count"], report["photos"]
    for one in report["subjects"] if report["subjects"][0]["identifier"] else ():
        said = (
            f"'{one['identifier']} {one['class_noun']}'" if one["class_noun"] else f"'{one['identifier']}' (say --noun)"
        )
        yield f"{one['folder']}: {said}, {one['photos']} photos"
    sizes = ", ".join(f"{number} of {width} x {height}" for width, height, number in report["sizes"])
    yield f"{count} photos, trained as {sizes or 'none'}"
    yield f"captions: {report['captions']} of {count}; masks: {report['masks']} of {count}"
    yield f"in {report['steps']} steps of {report['batch_size']}: {_shown(photos)}"
    yield from (f"note: {note}" for note in report["notes"])
    if count > len(photos):
        yield f"the first {len(photos)} photos are looked at:"
    for photo in photos:
        yield _line(photo)
        yield from (f"  {fault['name']}: {fault['why']}" for fault in photo["faults"])


def _shown(photos: Sequence[dict[str, Any]]) -> str:
    """How often photos are shown, in words."""
    times = sorted({photo["shown"] for photo in photos})
    few, most = f"{times[0]:g}", f"{times[-1]:g}"
    return f"each photo is shown about {few} times" if few == most else f"photos are shown about {few} to {most} times"


def _line(photo: dict[str, Any]) -> str:
    """One photo: its name, size, and what belongs to it."""
    if photo["size"] is None:
        return f"{photo['name']}: cannot be read"
    (width, height), (to_width, to_height) = photo["pixels"], photo["size"]
    rest = [f"shown {photo['shown']:g} times", *(["mask"] if photo["mask"] else [])]
    caption = [f"“{photo['caption']}”"] if photo["caption"] else []
    return f"{photo['name']}: {width} x {height}, trained as {to_width} x {to_height}, {', '.join([*rest, *caption])}"
