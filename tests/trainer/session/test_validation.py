"""A run without anything that looks at pictures: the loss on a photo that is held out, beside the base's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import (
    DEATH,
    STEPS,
    NewBase,
    other,
    same_weights,
    stopped_after,
    with_options,
)
from dreambooth_nodes.trainer.events import Event, Validated, Warned
from dreambooth_nodes.trainer.runs.live_view import live_of
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import open_run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.validation import paired


@pytest.fixture
def validated(asked: Request) -> Request:
    """Five photos, three of them also mirrored; a loss after each of five steps."""
    subject = asked.subject
    mirrored = tuple(replace(photo.mirrored(), name=f"m{photo.name}") for photo in subject.photos[:3])
    eight = replace(subject, photos=(*subject.photos, *mirrored))
    return with_options(replace(asked, subject=eight, priors=None, looked_at=False), score_every=2, early_stop=1)


def test_the_loss_is_shown_decides_nothing_and_goes_on_exactly(
    new_base: NewBase, validated: Request, store: Store
) -> None:
    events: list[Event] = []
    straight, whole = personalize(new_base(), validated, other(store, "straight"), events.append)
    points = [event for event in events if isinstance(event, Validated)]
    assert [point.step for point in points] == [2, 4, STEPS] and whole.validation() == points
    assert len({point.base for point in points}) == 1 and len({point.loss for point in points}) == 3
    assert all(0 < point.error < point.base for point in points)
    assert validated.held_out is not None
    assert any(f"{validated.held_out.name} is held out" in one.text for one in events if isinstance(one, Warned))
    assert straight.steps == STEPS and whole.kept.steps() == [2, 4, STEPS] and not whole.scores()
    state = live_of(open_run(whole.key, whole.store), straight).state()
    assert [point["step"] for point in state["validation"]] == [2, 4, STEPS]

    personalize(new_base(), validated, store, *stopped_after(DEATH))
    finished, again = personalize(new_base(), validated, store)
    assert again.validation() == points and same_weights(finished.file, straight.file)


def test_two_models_are_compared_sample_by_sample() -> None:
    """What both have in common, such as a hard timestep, is no uncertainty of their difference."""
    base = torch.tensor([0.1, 5.0, 0.3, 2.0]).double()
    point = paired(7, base - 0.01, base)
    assert (point.step, point.base) == (7, pytest.approx(1.85))
    assert point.loss == pytest.approx(1.84) and point.error == pytest.approx(0, abs=1e-9)
    differing = paired(7, base + torch.tensor([0.0, 0.2, 0.0, 0.2]).double(), base)
    assert differing.error == pytest.approx(0.1 * (4 / 3) ** 0.5 / 2)
