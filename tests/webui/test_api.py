"""The API beside the WebUI's own: who may, what is refused, a training stopped and resumed."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.tests.webui.conftest import SUBJECT, Serve, Served, keep_step
from dreambooth_nodes.trainer.runs.personalized import read_personalized

USER = "ann:secret"
ROOT = "/dreambooth/v1"
PHOTOS = [base64.b64encode(file.read_bytes()).decode() for file in sorted(SUBJECT.glob("*.png"))]
ASKED: dict[str, Any] = {"photos": PHOTOS, "class_noun": "dog", "identifier": "olt", "priors": 0, "name": "by_script"}


@pytest.fixture(scope="module")
def webui(serve: Serve) -> Served:
    return serve("forge", USER)


def refused(webui: Served, path: str, body: Any = None, user: str = USER) -> tuple[int, str]:
    with pytest.raises(HTTPError) as error:
        webui.request(f"{ROOT}/{path}", body, user)
    return error.value.code, error.value.read().decode()


def awaited(webui: Served, holds: Any) -> dict[str, Any]:
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        said: dict[str, Any] = webui.request(f"{ROOT}/status", user=USER)
        if holds(said) or said["status"] == "failed":
            return said
        time.sleep(0.2)
    raise AssertionError(said)


@pytest.mark.parametrize("user", ["", "ann:wrong", "bob:secret", "bob:"])
def test_only_the_users_of_api_auth_may(webui: Served, user: str) -> None:
    assert refused(webui, "status", user=user)[0] == 401


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"photos": []}, "there is no photo"),
        ({"photos": [PHOTOS[0], "no base64!"]}, "photos[1] is not base64"),
        ({"photos": [PHOTOS[0], base64.b64encode(b"no picture").decode()]}, "photos[1]"),
        ({"class_images": ["no base64!"]}, "class_images[0] is not base64"),
        ({"class_images": [base64.b64encode(b"no picture").decode()]}, "class_images[0]"),
        ({"class_images": PHOTOS * 201}, "1005 class images were given; at most 1000"),
        ({"resolution": 63}, "resolution is 63"),
        ({"priors": -1}, "class images are -1"),
        ({"close_ups": 9}, "close_ups is 9; it must be 0 to 4"),
        ({"options": {"caption_dropout": 2}}, "caption_dropout is 2"),
        ({"class_noun": " "}, "no class noun"),
        ({"name": "../../etc/x"}, "'../../etc/x' cannot be used"),
        ({"base": "another"}, "no checkpoint 'another'"),
        ({"base": "../../../etc/passwd"}, "no checkpoint"),
        ({"prediction": "x0"}, "prediction is 'x0'"),
        ({"method": "magic"}, "method is 'magic'"),
        ({"options": {"steps": 0}}, "steps is 0"),
        ({"options": {"steps": "5; rm"}}, "steps is '5; rm'"),
        ({"options": {"loras": "/tmp"}}, "there is no option 'loras'"),
        ({"continue_from": "../../x"}, "has no '../../x'"),
        ({"continue_from": "nobody"}, "has no 'nobody'"),
        ({"resume": True}, "nothing to resume"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(webui: Served, changes: dict[str, Any], names: str) -> None:
    code, text = refused(webui, "train", {**ASKED, **changes})
    assert code == 422 and names in text


def test_a_stopped_training_is_kept_and_goes_on_where_it_was(webui: Served) -> None:
    begun = webui.request(f"{ROOT}/train", {**ASKED, "prediction": "v_prediction", "options": {"steps": 10_000}}, USER)
    assert begun["status"] in ("waiting", "running")
    assert refused(webui, "train", ASKED)[0] == 422
    awaited(webui, lambda said: said["step"] >= 2)
    with ThreadPoolExecutor() as pool:
        picture = pool.submit(webui.request, "/sdapi/v1/txt2img", {})
        webui.await_log("txt2img waits")
        webui.request("/sdapi/v1/interrupt", {})
        # It was for the picture, and the training goes on.
        going_on = awaited(webui, lambda said: any("Interrupt was pressed" in note for note in said["warnings"]))
        assert going_on["status"] == "running" and not going_on["stopping"]
        assert webui.request(f"{ROOT}/stop", {}, USER) == {"stopping": True}
        assert picture.result() == "drawn: "
    stopped = awaited(webui, lambda said: said["status"] == "stopped")
    steps = stopped["result"]["steps"]
    assert stopped["error"] == "" and steps >= 2
    assert read_personalized(Path(stopped["result"]["file"])).steps == steps
    webui.request(f"{ROOT}/train", {"resume": True}, USER)
    awaited(webui, lambda said: said["step"] > steps)
    webui.request("/sdapi/v1/interrupt", {})
    again = awaited(webui, lambda said: said["status"] == "stopped")
    assert again["result"]["steps"] > steps
    assert [subject["trigger"] for subject in webui.request(f"{ROOT}/subjects", user=USER)] == ["olt dog"]
    assert webui.request(f"{ROOT}/stop", {}, USER) == {"stopping": False}
    (record,) = (webui.data / "outputs" / "dreambooth" / "runs").glob("*/run.json")
    assert json.loads(record.read_text())["asked"]["prediction"] == "v_prediction"
    # The checkpoint that was current when it was asked, by its name: another may be current since.
    kept = (webui.data / "outputs" / "dreambooth" / "asked").glob("*.json")
    assert {json.loads(file.read_text())["asked"]["base"] for file in kept} == {"toybase.safetensors"}


def test_class_images_of_the_users_own_are_trained_on_and_a_step_without_a_file_is_refused(webui: Served) -> None:
    asked = {name: value for name, value in ASKED.items() if name != "priors"}
    asked |= {"name": "own", "resolution": 64, "options": {"steps": 2, "rank": 2}}
    webui.request(f"{ROOT}/train", {**asked, "class_images": PHOTOS[:2]}, USER)
    done = awaited(webui, lambda said: said["status"] == "finished")
    assert done["result"]["priors"] == 2 and done["error"] == ""
    code, text = refused(webui, "choose", {"step": 7})
    assert code == 422 and "step 7" in text


def test_another_step_becomes_the_result(webui: Served) -> None:
    webui.request(f"{ROOT}/train", {**ASKED, "name": "choosing", "resolution": 64, "options": {"steps": 3}}, USER)
    done = awaited(webui, lambda said: said["status"] == "finished" and said["result"]["steps"] == 3)
    assert done["error"] == ""
    first = Path(done["result"]["file"])
    keep_step(done["result"], 2)
    chosen = webui.request(f"{ROOT}/choose", {"step": 2}, USER)
    assert chosen["step"] == 2 and chosen["choice"].startswith("step 2, chosen by the user")
    file = Path(chosen["file"])
    assert file != first and file.parent == first.parent
    assert read_personalized(file).steps == 2 and read_personalized(first).steps == 3
    # A card of its own, by which the WebUI's list knows the trigger.
    assert json.loads(file.with_suffix(".json").read_text())["activation text"] == "olt dog"
    said = webui.request(f"{ROOT}/status", user=USER)
    assert (said["status"], said["result"]["steps"], said["result"]["file"]) == ("finished", 2, chosen["file"])
    code, text = refused(webui, "choose", {"step": 1})
    assert code == 422 and "step 1 has no file; those that can be chosen are 2." in text
    assert refused(webui, "choose", {"step": 2}, user="")[0] == 401


@pytest.mark.slow
def test_resume_after_a_stop_during_class_images_begins_anew_with_those_that_are_drawn(webui: Served) -> None:
    """Also where a run of the same name was stopped before, as the tests above leave one."""
    many = {**ASKED, "identifier": "sks", "priors": 16, "options": {"steps": 2, "rank": 2}}
    webui.request(f"{ROOT}/train", many, USER)
    awaited(webui, lambda said: said["doing"] == "class images" and 2 <= said["done"] < said["total"])
    webui.request(f"{ROOT}/stop", {}, USER)
    stopped = awaited(webui, lambda said: said["status"] == "stopped")
    drawn = len(list((webui.data / "outputs" / "dreambooth" / "priors").glob("*/*.png")))
    assert stopped["result"] is None and stopped["error"] == "" and 2 <= drawn < 16
    webui.request(f"{ROOT}/train", {"resume": True}, USER)
    left = awaited(webui, lambda said: said["doing"] == "class images")
    assert left["total"] == 16 - drawn
    finished = awaited(webui, lambda said: said["status"] == "finished")
    assert (finished["error"], finished["result"]["trigger"], finished["result"]["steps"]) == ("", "sks dog", 2)
    assert any("begins with its first step" in note for note in finished["warnings"])
