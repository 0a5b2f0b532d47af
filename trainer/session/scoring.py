"""The scores of a run in progress, and the step that they choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..distributed.ranks import Ranks
from ..events import PhaseSeconds, Scored
from ..files.pictures import as_written, read_picture, write_picture
from ..runs.request import Request
from ..runs.run import Run
from ..scores.measure import CLASS_SEEDS, REFERENCE_SEEDS, SEEDS, measure_scores, prompts_at_places
from ..scores.rule import Rule
from ..scores.scorer import Scorer
from .drawing import DrawPictures, subject_prompt


class Verdict(NamedTuple):
    """The scores of a step; whether its weights are kept as a file, and whether the run ends with it."""

    point: Scored
    kept: bool
    ends: bool


@dataclass
class RunScores:
    """The scores of a run, which all ranks measure together: every rank of a sharded model draws, else the first one;
    all else is done by the first. rule and points are there from `begin` on, in the first rank.
    """

    scorer: Scorer
    request: Request
    run: Run
    draw: DrawPictures
    phases: PhaseSeconds
    ranks: Ranks
    rule: Rule = field(init=False)
    points: list[Scored] = field(default_factory=list)

    def begin(self, untrained: AbstractContextManager[Any], draw: DrawPictures) -> None:
        """Measure the base, or take its scores from the run's record. untrained: a context in which the model answers
        as the base. draw: draws its pictures there.
        """
        drawn = None
        if self.ranks.decided(self._known_base) is None:
            with untrained:
                drawn = self._together(partial(self._base_pictures, draw))
        self.ranks.decided(partial(self._begin, drawn))

    def resume(self, done: int) -> bool:
        """Go on after `done` steps: scores of later ones, which are measured again, are dropped. Returns whether the
        scores so far end the run.
        """
        return self.ranks.decided(partial(self._resume, done))

    def measure(self, step: int) -> Verdict:
        """Score the model after `step` steps."""
        drawn = self._together(lambda: self._pictures(self.draw, subject_prompt(self.request)))
        return self.ranks.decided(partial(self._add, step, drawn))

    def _together(self, draw: Callable[[], Tensor]) -> Tensor | None:
        """Pictures, in the ranks that draw."""
        if not (self.ranks.first or self.ranks.sharded):
            return None
        with self.phases.during("sampling"):
            return draw()

    def _pictures(
        self, draw: DrawPictures, prompt: str, seeds: Sequence[int] = SEEDS, of_class: Sequence[int] = CLASS_SEEDS
    ) -> Tensor:
        """Pictures of a prompt at every place with these seeds, and then of the class, in eight bits as files hold
        them.
        """
        subject, places = self.request.subject, prompts_at_places(prompt)
        prompts = [text for text in places for _ in seeds] + [self._class_prompt] * len(of_class)
        return as_written(draw(prompts, [*seeds] * len(places) + [*of_class], (subject.width, subject.height)))

    def _base_pictures(self, draw: DrawPictures) -> Tensor:
        """The pictures by which the base is scored, and those that a scorer without texts compares with."""
        own = self._pictures(draw, self._class_prompt)
        if self.scorer.reads_texts:
            return own
        return torch.cat([own, self._pictures(draw, self._class_prompt, REFERENCE_SEEDS, ())])

    def _known_base(self) -> Scored | None:
        """The base's scores in the run's record, where they are by this scorer."""
        return self.run.base_scores() if self.run.record.get("scorer") == self.scorer.fingerprint else None

    def _begin(self, drawn: Tensor | None) -> None:
        """Set the rule. drawn: see `_base_pictures`; None where the record has the base's scores."""
        count, folder = len(self._texts(SEEDS)) + len(CLASS_SEEDS), self.run.folder / "scores"
        for index, picture in enumerate(() if drawn is None else drawn[count:]):
            write_picture(picture, folder / f"base_{index:02d}.png")
        if not self.scorer.reads_texts:
            references = [read_picture(file) for file in sorted(folder.glob("base_*.png"))]
            self.scorer = self.scorer.calibrated(torch.stack(references), self._texts(REFERENCE_SEEDS))
        base = self._known_base() if drawn is None else self._scored(0, drawn[:count])
        assert base is not None
        if drawn is not None:
            self.run.write_scores(self.scorer.fingerprint, base, ())
        self.rule = Rule(base, self.scorer.margin)

    def _resume(self, done: int) -> bool:
        """See `resume`."""
        self.points = [point for point in self.run.scores() if point.step <= done]
        self.run.write_scores(self.scorer.fingerprint, self.rule.base, self.points)
        return self._ends()

    def _add(self, step: int, drawn: Tensor | None) -> Verdict:
        """Score the pictures of the model after `step` steps, which the first rank has drawn."""
        assert drawn is not None
        points = [*(point for point in self.points if point.step < step), self._scored(step, drawn)]
        chosen = self.rule.chosen(points)
        self.points = [*points[:-1], replace(points[-1], chosen=None if chosen is None else chosen.step)]
        self.run.write_scores(self.scorer.fingerprint, self.rule.base, self.points)
        return Verdict(self.points[-1], step in self.candidates, self._ends())

    @property
    def candidates(self) -> list[int]:
        """The steps whose files are needed, the chosen one first; empty where none is chosen."""
        return [point.step for point in self.rule.candidates(self.points)]

    @property
    def reason(self) -> str:
        """Why which step is the result; empty before the first score."""
        drawn_with = f", drawn with another model, {other[:12]}" if (other := self.request.drawn_with) else ""
        return f"{self.rule.reason(self.points)} (by {self.scorer.name}{drawn_with})" if self.points else ""

    @property
    def _class_prompt(self) -> str:
        return self.request.options.templates.class_prompt(self.request.subject.class_noun)

    def _texts(self, seeds: Sequence[int]) -> list[str]:
        """The text that each picture at a place is measured against."""
        return [text for text in prompts_at_places(self._class_prompt) for _ in seeds]

    def _scored(self, step: int, drawn: Tensor) -> Scored:
        """The scores of pictures in the order of `_pictures`."""
        texts, photos = self._texts(SEEDS), self.request.subject.at_one_size()
        return measure_scores(step, self.scorer, drawn[: len(texts)], texts, drawn[len(texts) :], photos)

    def _ends(self) -> bool:
        """Whether the scores no longer rise."""
        patience = self.request.options.early_stop
        return bool(patience) and self.rule.scores_without_gain(self.points) >= patience
