"""A run with scores: the chosen step is the result, the same after a stop, and known by its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from torch import Tensor

from dreambooth_nodes.tests.trainer.scores.pixels import pixel_scorer
from dreambooth_nodes.tests.trainer.short_runs import (
    DEATH,
    STEPS,
    NewBase,
    other,
    same_weights,
    stopped_after,
    with_options,
)
from dreambooth_nodes.trainer.events import Event, Scored, Step, Warned
from dreambooth_nodes.trainer.files.safetensors import read_metadata
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.runs.history import delete_result
from dreambooth_nodes.trainer.runs.live_view import live_of
from dreambooth_nodes.trainer.runs.past_runs import find_finished
from dreambooth_nodes.trainer.runs.personalized import Personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import Run, open_run, relative
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.scores.rule import Rule
from dreambooth_nodes.trainer.session.choosing import NotChosen, choose_step
from dreambooth_nodes.trainer.session.personalize import personalize


def taught(base: Base, request: Request, store: Store, *told: Any) -> tuple[Personalized, Run]:
    """A run that is scored by pictures of one sampling step."""

    def draw_pictures(prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        return draw(base, prompts, seeds, SamplerSettings(width=size[0], height=size[1], steps=1, guidance=1))

    return personalize(base, request, store, *told, draw=draw_pictures, scorer=pixel_scorer())


@pytest.fixture
def scored(asked: Request) -> Request:
    """A run of five steps, scored after each, whose rate is high enough to change what is drawn."""
    return with_options(replace(asked, priors=None), score_every=1, save_every=1, learning_rate=5e-3)


def test_the_chosen_step_is_the_result_and_a_stopped_run_goes_on_exactly(
    new_base: NewBase, scored: Request, store: Store
) -> None:
    events: list[Event] = []
    straight, whole = taught(new_base(), scored, other(store, "straight"), events.append)
    points = [event for event in events if isinstance(event, Scored)]
    assert [point.step for point in points] == list(range(1, STEPS + 1)) and points == whole.scores()
    base = whole.base_scores()
    assert base is not None and len({point.likeness for point in points}) == STEPS
    rule = Rule(base, pixel_scorer().margin)
    chosen = rule.chosen(points)
    step = STEPS if chosen is None else chosen.step
    assert straight.steps == step and points[-1].chosen == (None if chosen is None else step)
    assert rule.reason(points) in whole.record["choice"]
    kept = whole.file_of(step)
    assert kept is not None and same_weights(straight.file, kept.file)
    if chosen is not None:
        assert read_metadata(straight.file)["dreambooth.choice"] == whole.record["choice"]

    taught(new_base(), scored, store, *stopped_after(DEATH))
    finished, again = taught(new_base(), scored, store)
    assert again.scores() == whole.scores() and again.base_scores() == base
    assert finished.steps == straight.steps and same_weights(finished.file, straight.file)
    assert live_of(again, finished).state()["scores"] == json.loads(json.dumps([asdict(point) for point in points]))


def test_the_chosen_word_is_called_by_its_own_file(new_base: NewBase, scored: Request, store: Store) -> None:
    store = replace(store, word="embedding:{name}")
    scored = with_options(scored, method="textual_inversion", steps=2, save_every=0, early_stop=1)
    result, run = taught(new_base(), scored, store)
    chosen = run.scores()[-1].chosen
    assert chosen is not None and result.steps == chosen
    assert list(store.embeddings.glob("*.safetensors")) == [result.file]
    said = read_metadata(result.file)
    assert result.trigger == f"embedding:{result.file.stem}" == said["modelspec.trigger_phrase"]
    assert run.record["trigger"] == result.trigger and said["dreambooth.choice"] == run.record["choice"]


def test_scored_steps_are_kept_beside_the_result_and_one_can_be_made_it(
    new_base: NewBase, scored: Request, store: Store
) -> None:
    scored = with_options(scored, save_every=0, steps=3)
    result, run = taught(new_base(), scored, store)
    assert run.kept.steps() == [1, 2, 3] and list(store.loras.glob("*.safetensors")) == [result.file]
    step = 2 if result.steps != 2 else 1
    by_scores = run.record["choice"]
    chosen = choose_step(run, step)
    said = read_metadata(chosen.file)
    assert chosen.steps == step and same_weights(chosen.file, run.kept.path(step))
    assert said["dreambooth.choice"] == run.record["choice"] == _by_hand(step, run.scores()[-1].chosen) != by_scores
    found = find_finished(scored, result.trained_from, store)
    assert found is not None and found[0] == chosen and live_of(run, chosen).state()["result_step"] == step
    assert result.file.is_file() and choose_step(run, step) == chosen
    back = choose_step(run, result.steps)
    assert back.steps == result.steps and same_weights(back.file, result.file)
    assert choose_step(run, step) == chosen and len(list(store.loras.glob("*.safetensors"))) == 3
    with pytest.raises(NotChosen, match=r"Step 7 has no file in this run; those that can be chosen are \[1, 2, 3\]"):
        choose_step(run, 7)
    run.write(status="stopped")
    with pytest.raises(NotChosen, match="not finished"):
        choose_step(run, 1)
    run.write(status="finished")
    with open_run(run.key, store).alone(), pytest.raises(NotChosen, match="being trained right now"):
        choose_step(run, 1)
    delete_result(relative(chosen.file, store), store)
    assert run.kept.steps() == []


def _by_hand(step: int, by_scores: int | None) -> str:
    """What the metadata say of a step that the user chose."""
    return f"step {step}, chosen by the user; the scores chose {'none' if by_scores is None else f'step {by_scores}'}"


def test_a_run_ends_early_and_is_found_as_finished(new_base: NewBase, scored: Request, store: Store) -> None:
    scored = with_options(scored, steps=40, early_stop=1, save_every=0)
    events: list[Event] = []
    result, run = taught(new_base(), scored, store, events.append)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert len(steps) < 40 and run.record["status"] == "finished" and not run.state.exists()
    found = find_finished(scored, result.trained_from, store)
    assert found is not None and found[0] == result
    assert live_of(run, result).state()["status"] == "finished"


def test_scores_that_nothing_can_measure_are_a_warning(new_base: NewBase, scored: Request, store: Store) -> None:
    events: list[Event] = []
    result, run = personalize(new_base(), with_options(scored, save_every=0), store, events.append)
    assert any("nothing here can look at pictures" in one.text for one in events if isinstance(one, Warned))
    assert result.steps == STEPS and not run.scores()
