"""The loss curve's picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.a1111.loss_svg import HEIGHT, WIDTH, loss_svg, score_svg

LOSSES = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(st.tuples(LOSSES, st.none() | LOSSES), min_size=1, max_size=400), st.integers(0, 1000))
def test_every_point_lies_inside_and_the_end_is_said(losses: list[tuple[float, float | None]], more: int) -> None:
    points = [(step, *pair) for step, pair in enumerate(losses, start=1)]
    picture = ElementTree.fromstring(loss_svg(points, len(points) + more))
    for line in picture.iter("polyline"):
        for place in line.attrib["points"].split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    assert f"after {len(points)} steps" in picture.attrib["aria-label"]


def test_there_is_none_before_the_first_step() -> None:
    assert loss_svg([], 10) == ""


def test_scores_are_drawn_inside_with_the_chosen_step() -> None:
    figures = {"likeness": 0.5, "prompt_following": 1.02, "class_leak": -0.1, "variety": 0.4, "returns_photo": None}
    scores = [{"step": step, **figures, "chosen": 100} for step in (100, 200)]
    picture = ElementTree.fromstring(score_svg(scores, 400))
    lines = [one for one in picture.iter() if one.tag.endswith("polyline")]
    places = [tuple(map(float, pair.split(","))) for one in lines for pair in one.get("points", "").split()]
    assert len(lines) == 4 and all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    dashed = [one for one in picture.iter() if one.get("stroke-dasharray")]
    assert len(dashed) == 1 and dashed[0].get("x1") == f"{places[0][0]:.1f}"
    assert "likeness 0.500" in picture.get("aria-label", "")
    assert score_svg([], 400) == ""
