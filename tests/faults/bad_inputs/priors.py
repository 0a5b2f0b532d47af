"""Class images: of another base, class or size, and pictures that are torn."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ....trainer.sampling.class_priors import ClassPriors, draw_missing, picture_path
from ....trainer.sampling.sampler import prior_drawer
from ..setting import Setting
from .judging import Verdicts, refused


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """Listed."""
    recipe, root = setting.recipe, folder / "priors"
    draw = prior_drawer(setting.base, recipe)
    recipes: list[tuple[str, Any]] = [
        ("steps", 0),
        ("steps", -1),
        ("width", 0),
        ("width", 33),
        ("height", 24),
        ("height", -8),
    ]
    found = [(f"{n}={v}", refused(partial(replace, recipe, **{n: v}), str(v))) for n, v in recipes]
    numbers = [(0, 1), (-1, 1), (1, 0), (1, -1)]
    found += [
        (f"count and batch {p}", refused(partial(draw_missing, recipe, p[0], root, draw, p[1]), str(p[0])))
        for p in numbers
    ]
    others: list[tuple[str, Any]] = [
        ("base_fingerprint", "f" * 64), ("class_noun", "cat"), ("width", 40), ("height", 40),
    ]  # fmt: skip
    for name, value in others:
        priors = ClassPriors(replace(recipe, **{name: value}), root, 1)
        asked = replace(setting.request, priors=priors)
        found.append((f"another {name}", refused(partial(asked.key, setting.base.fingerprint), str(value)[:12])))
    made = draw_missing(recipe, 1, root, draw, 1)
    whole = picture_path(made.folder, 0).read_bytes()
    for name, content in (("empty", b""), ("torn", whole[:-20]), ("text", b"no picture")):
        picture_path(made.folder, 0).write_bytes(content)
        found.append((f"{name} picture", refused(lambda: list(made.photos()), "00000.png")))
    picture_path(made.folder, 0).unlink()
    return [*found, ("missing picture", refused(lambda: list(made.photos()), "00000.png"))]
