"""Several subjects in one run: each under its own name, as often as it should be, with class images of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from dreambooth_nodes.tests.trainer.conftest import recipe
from dreambooth_nodes.tests.trainer.short_runs import NewBase, with_options
from dreambooth_nodes.trainer.events import Event, Sample, never
from dreambooth_nodes.trainer.export.run_info import RunInfo
from dreambooth_nodes.trainer.files.safetensors import read_metadata
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.personalized import read_personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.sampling.prior_recipe import PriorsError
from dreambooth_nodes.trainer.session.drawing import sample_prompts
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.setup import encode_request
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.batches import Batches


@pytest.fixture
def two(base: Base, asked: Request, class_priors: ClassPriors) -> Request:
    """A dog of three photos and a car of two, which are shown three times as often."""
    photos = asked.subject.photos
    dog = Subject(photos[:3], "dog", 64, 64, identifier="ohwx")
    car = Subject(photos[3:], "car", 64, 64, identifier="olt", repeats=3)
    cars = ClassPriors(recipe(base, class_noun="car", prompt="a car"), class_priors.folder, 2)
    priors = ClassPriors.joined([class_priors, cars])
    return replace(asked, subject=Subject.joined([dog, car]), identifier="unused", priors=priors)


def test_photos_are_shown_by_their_repeats_with_class_images_of_their_own_class(base: Base, two: Request) -> None:
    prompts, instance, prior = encode_request(base, two, never)
    assert prior is not None and len(instance) == 3 + 2 * 3 and len(prior) == 3 + 2
    source = Batches(instance, prior, base.noise_process, 0, 1)
    shown = Counter(batch.prompts for index in range(9 * 20) for batch in source[index])
    assert sorted(shown.values()) == [3 * 20, 6 * 20]
    texts = base.encode_prompts(["a ohwx dog", "a dog", "a olt car", "a car"])["context"]
    found = prompts.rows(base, [row for pair in shown for row in pair])["context"]
    pairs = {tuple(int((texts == one).all((1, 2)).nonzero()) for one in found[at : at + 2]) for at in (0, 2)}
    assert pairs == {(0, 1), (2, 3)}


def test_the_base_is_compared_with_under_the_prompt_of_each_class(base: Base, two: Request) -> None:
    _, _, prior = encode_request(base, with_options(two, prior="compare with the base"), never)
    assert prior is not None and len(set(prior.prompts)) == 2
    assert [prior.prompts[row] for row in range(9)] == [prior.prompts[0]] * 3 + [prior.prompts[3]] * 6


def test_one_file_knows_all_triggers_and_samples_show_each_subject(
    new_base: NewBase, two: Request, store: Store
) -> None:
    events: list[Event] = []
    result, run = personalize(new_base(), with_options(two, steps=1, sample_count=3), store, events.append)
    assert result.trigger == run.record["trigger"] == "ohwx dog, olt car"
    assert read_personalized(result.file).trigger == result.trigger
    assert run.record["photos"] == 5 and run.record["priors"] == 5
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.prompt == "a ohwx dog; a olt car" and len(sample.images) == 3
    metadata = read_metadata(result.file)
    assert metadata["modelspec.trigger_phrase"] == result.trigger
    assert metadata["ss_tag_frequency"] == '{"ohwx dog": {"ohwx dog": 3}, "olt car": {"olt car": 2}}'
    assert metadata["ss_dataset_dirs"].count('"n_repeats": 3') == 1


def test_a_prompt_of_the_users_is_drawn_for_each_subject(two: Request) -> None:
    own = with_options(two, sample_prompt="[V] {class} at night", sample_count=3)
    assert sample_prompts(own) == ["ohwx dog at night", "olt car at night", "ohwx dog at night"]
    assert RunInfo("x", two.identifier, two.subject, two.options, 1).trigger == "ohwx dog, olt car"


def test_class_images_have_to_be_of_every_class(base: Base, two: Request, class_priors: ClassPriors) -> None:
    two.key(base.fingerprint)
    with pytest.raises(PriorsError, match="class noun is 'dog', this training's is 'car, dog'"):
        replace(two, priors=class_priors).key(base.fingerprint)


def test_the_name_of_a_photos_folder_goes_before_the_identifier_of_the_run(asked: Request) -> None:
    assert replace(asked, subject=replace(asked.subject, identifier="sks"), identifier="olt").identifier == "sks"


@pytest.mark.parametrize("options", [{"method": "textual_inversion"}, {"score_every": 10}])
def test_what_is_of_one_subject_is_refused_for_several(options: dict[str, Any], two: Request) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(OptionError, match=f"{name} is {value!r}.* several"):
        with_options(two, **options)
