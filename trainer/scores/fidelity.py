"""The fidelity of pictures to a subject's photos: a line for each picture, and the means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .scorer import Scorer, likeness_between_photos, returns_photo

COLUMNS = ("picture", "likeness", "prompt following", "variety", "returns the photo")


@dataclass(frozen=True)
class PictureFidelity:
    """One picture. prompt_following: None without a text; returns_photo: None with a single photo."""

    name: str
    likeness: float
    prompt_following: float | None
    variety: float
    returns_photo: bool | None


@dataclass(frozen=True)
class Fidelity:
    """All pictures. real: the photos' mean likeness to each other, the level of a real photo. scorer: its name."""

    pictures: tuple[PictureFidelity, ...]
    real: float
    scorer: str

    def mean(self, column: str) -> float | None:
        """The mean of a field of `PictureFidelity` over all pictures; None where it is not measured."""
        values = [getattr(one, column) for one in self.pictures]
        return None if None in values else sum(values) / len(values)

    @property
    def table(self) -> str:
        """The lines and the means, in columns of equal width."""
        fields = ("likeness", "prompt_following", "variety", "returns_photo")
        rows = [[one.name, *(_shown(getattr(one, name)) for name in fields)] for one in self.pictures]
        lines = [list(COLUMNS), *rows, ["mean", *(_shown(self.mean(name)) for name in fields)]]
        lines.append(["photos among themselves", _shown(self.real), "", "", ""])
        widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def fidelity(
    scorer: Scorer, names: Sequence[str], pictures: Tensor, photos: Tensor, texts: Sequence[str] | None
) -> Fidelity:
    """The fidelity of pictures [B, 3, H, W] to photos [N, 3, H, W]. texts: what each picture was asked to show, without
    the identifier; None where prompt following is not measured.

    Raises ValueError for texts with a scorer that reads none.
    """
    if texts is not None and not scorer.reads_texts:
        raise ValueError(f"{scorer.name} reads no texts, so prompt following cannot be measured: leave the prompt out")
    following = None if texts is None else scorer.prompt_following(pictures, texts).tolist()
    returned = returns_photo(scorer, pictures, photos)
    likeness, variety = scorer.likeness(pictures, photos).tolist(), scorer.variety(pictures).tolist()
    found = tuple(
        PictureFidelity(
            name=name,
            likeness=likeness[index],
            prompt_following=None if following is None else following[index],
            variety=variety[index],
            returns_photo=None if returned is None else bool(returned[index]),
        )
        for index, name in enumerate(names)
    )
    return Fidelity(found, float(likeness_between_photos(scorer, photos).mean()), scorer.name)


def _shown(value: float | bool | None) -> str:
    """A figure as the table shows it."""
    if value is None:
        return "-"
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:.3f}"
