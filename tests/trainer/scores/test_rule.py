"""The chosen step is the one that the rule's sentence names, and its file is never deleted too early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.events import Scored
from dreambooth_nodes.trainer.scores.rule import LIKENESS, VARIETY, Rule

FOLLOWING = 0.05
BASE = Scored(0, 0.2, 0.9, 0.2, 0.5, 0.0)
RULE = Rule(BASE, FOLLOWING)


def point(step: int, likeness: float, following: float = 0.9, variety: float = 0.5) -> Scored:
    return Scored(step, likeness, following, 0.2, variety, 0.0)


def curves() -> st.SearchStrategy[list[Scored]]:
    values = st.tuples(st.sampled_from([0.5, 0.52, 0.54, 0.56, 0.6]), st.sampled_from([0.9, 0.8]), st.just(0.5))
    return st.lists(values, min_size=1, max_size=8).map(lambda rows: [point(i, *row) for i, row in enumerate(rows, 1)])


def chosen_by_the_sentence(points: list[Scored]) -> int | None:
    """Literally: the earliest step within δ of the best likeness among those within δ of the base."""
    kept = [
        one
        for one in points
        if one.prompt_following >= BASE.prompt_following - FOLLOWING and one.variety >= BASE.variety - VARIETY
    ]
    best = max((one.likeness for one in kept), default=0.0)
    return min((one.step for one in kept if one.likeness >= best - LIKENESS), default=None)


@given(curves())
def test_the_chosen_step_is_the_earliest_near_the_best(points: list[Scored]) -> None:
    found = RULE.chosen(points)
    assert (None if found is None else found.step) == chosen_by_the_sentence(points)


@given(curves())
def test_files_that_are_kept_hold_every_later_choice(points: list[Scored]) -> None:
    files: set[int] = set()
    for count in range(1, len(points) + 1):
        known, step = points[:count], points[count - 1].step
        candidates = {one.step for one in RULE.candidates(known)}
        files = (files | ({step} & candidates)) & candidates
        chosen = chosen_by_the_sentence(known)
        assert chosen is None or chosen in files


def test_a_step_that_lost_prompt_following_or_variety_is_not_chosen() -> None:
    faithful = point(100, 0.5)
    assert RULE.chosen([faithful, point(200, 0.9, following=0.84), point(300, 0.9, variety=0.44)]) == faithful
    assert RULE.chosen([point(100, 0.9, following=0.84)]) is None
    assert "none of 1 scored steps" in RULE.reason([point(100, 0.9, following=0.84)])


def test_scores_without_gain_count_from_the_most_alike_step() -> None:
    rising, then = [point(1, 0.4), point(2, 0.6)], [point(3, 0.6), point(4, 0.9, following=0.1)]
    assert RULE.scores_without_gain(rising) == 0
    assert RULE.scores_without_gain(rising + then) == 2
    assert RULE.scores_without_gain([point(1, 0.9, following=0.1)]) == 0
