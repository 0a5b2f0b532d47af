"""Names of files that a browser sent, made safe for a folder of ours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain, count
from pathlib import Path

from ..trainer.subject.captions import folded

LONGEST = 60
"""Characters of a stem."""


def safe_names(names: Sequence[str]) -> list[str]:
    """A name for each, of letters, digits and dashes, no two alike; a photo and its caption stay of one stem."""
    stems: dict[tuple[str, int], str] = {}
    seen = Counter[str]()
    safe = []
    for path in (Path(name.replace("\\", "/").rpartition("/")[2]) for name in names):
        suffix = re.sub(r"[^.a-z0-9]", "", path.suffix.casefold())[:9]
        stem = folded(path.stem)
        same = stem, seen[stem + suffix]
        seen[stem + suffix] += 1
        stems[same] = stems.get(same) or _free(path.stem, stems.values())
        safe.append(stems[same] + suffix)
    return safe


def _free(stem: str, taken: Collection[str]) -> str:
    wanted = re.sub(r"[^\w-]+", "_", stem).strip("_")[:LONGEST] or "photo"
    # As a disk compares names.
    used = {name.casefold() for name in taken}
    numbered = (f"{wanted}_{number}" for number in count(2))
    return next(name for name in chain([wanted], numbered) if name.casefold() not in used)
