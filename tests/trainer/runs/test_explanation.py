"""Five trainings that were made to go wrong on the embedded base, and a good one: each is explained right.

The records are those of real runs of a LoRA on a racing car, 300 steps at rate 1e-3 with 16 class images, of which one
thing was changed: the rate, no class images (2000 steps, stopped after 524), one background (200, stopped after 118),
128 px (120). Their losses are rounded, and what names files is left out.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.trainer.events import Step
from dreambooth_nodes.trainer.options import SETTINGS
from dreambooth_nodes.trainer.runs.explanation import explain

RECORDS = Path(__file__).with_name("wrong_runs")
POINT = [field.name for field in fields(Step)]
FIVE = {
    "high": "burnt",
    "low": "learned nothing",
    "nopriors": "forgot the class",
    "background": "background",
    "resolution": "size",
}


def record_of(name: str, **changes: Any) -> dict[str, Any]:
    record = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    losses = [dict(zip(POINT, point, strict=True)) for point in record["losses"]]
    return {**record, "losses": losses, **changes}


def settings(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**record, "settings": {**record["settings"], **changes}}


@pytest.mark.parametrize(("name", "cause"), FIVE.items())
def test_each_of_five_trainings_that_went_wrong_is_explained(name: str, cause: str) -> None:
    found = explain(record_of(name))
    assert found[0].name == cause, found
    assert found[0].what and found[0].advice


def test_a_good_training_is_not_spoken_ill_of() -> None:
    assert explain(record_of("normal")) == []


def test_what_is_to_change_is_a_setting_that_helps() -> None:
    changes = {name: explain(record_of(name))[0].changes for name in FIVE}
    assert changes["high"] == {"learning_rate": 1e-3}
    assert changes["low"] == {"learning_rate": 1e-4}
    assert changes["nopriors"]["priors"] == 100 and changes["nopriors"]["steps"] == 800
    assert changes["resolution"] == {"width": 64, "height": 64}
    assert changes["background"] == {}
    named = {name for one in changes.values() for name in one}
    assert named <= {*SETTINGS, "priors", "width", "height"}


def test_memory_that_ran_out_comes_before_all_else() -> None:
    record = record_of("low", status="failed", error="There is not enough memory for this training. What would help …")
    (found,) = explain(record)
    assert found.name == "memory" and found.changes["fit_memory"] is True


def test_a_loss_that_exploded_is_a_rate_that_is_too_high() -> None:
    record = record_of("normal", status="failed", error="The loss is nan at step 3: …", losses=[], fixed_losses=[])
    (found,) = explain(record)
    assert found.name == "burnt" and found.changes == {"learning_rate": 1e-4}


def test_a_class_that_drifts_gets_a_heavier_prior() -> None:
    record = record_of("normal")
    for number, point in enumerate(record["losses"]):
        point["prior"] = 0.05 + number / 1000
    assert [(one.name, one.changes) for one in explain(record)] == [("class drifts", {"prior_weight": 2.0})]
    # A prior without class images begins with a loss of zero, so that its growth says nothing.
    assert explain(settings(record, prior="compare with the base")) == []


def test_a_class_is_not_forgotten_where_a_prior_without_class_images_keeps_it() -> None:
    record = record_of("nopriors")
    kept = explain(settings(record, prior="stay close to the base", prior_weight=1.0))
    assert "forgot the class" not in {one.name for one in kept}
    word = explain(settings(record, method="textual_inversion", learning_rate=2e-3))
    assert "forgot the class" not in {one.name for one in word}
    changes = explain(settings(record, prior="off"))[0].changes
    assert changes["prior"] == "class images" and changes["priors"] == 100


def test_photos_by_heart_are_half_the_steps() -> None:
    (found,) = explain(record_of("normal", fixed_losses=[[0, 0.3], [300, 0.05]]))
    assert found.name == "by heart" and found.changes == {"steps": 150}


def test_few_steps_are_too_few_rather_than_too_slow() -> None:
    record = settings(record_of("low"), learning_rate=1e-4)
    few = {**record, "losses": record["losses"][:20], "fixed_losses": []}
    (found,) = explain(few)
    assert found.name == "learned nothing" and found.changes == {"steps": 800}


def test_a_look_has_no_class_to_forget() -> None:
    assert "forgot the class" not in [one.name for one in explain(record_of("nopriors", class_noun="style"))]


def test_photos_with_faults_are_named() -> None:
    found = explain(record_of("normal", photo_faults={"blurred": 3}))
    assert [one.name for one in found] == ["blurred"] and "3 of 5" in found[0].what


@pytest.mark.parametrize(("changes", "why"), [({"status": "running"}, "still training"), ({"size": None}, "earlier")])
def test_a_run_that_says_too_little_is_not_guessed_at(changes: dict[str, Any], why: str) -> None:
    record = record_of("normal", **changes)
    if record["size"] is None:
        del record["size"]
    with pytest.raises(ValueError, match=why):
        explain(record)
