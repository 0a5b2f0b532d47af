"""Every HTTP route of the pack, in the real ComfyUI: what it answers, and what it refuses."""

from __future__ import annotations

import ast
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import change, find
from dreambooth_nodes.tests.host.graphs import STEPS, node, steps_trained, training
from dreambooth_nodes.tests.waiting import HANG_SECONDS

SOURCE = Path(__file__).parent.parent.parent / "nodes" / "comfy_routes.py"
PHOTOS, HISTORY, LIVE = "/dreambooth/photos", "/dreambooth/history", "/dreambooth/live"
OUTPUTS, STOP, DELETE = "/dreambooth/outputs", "/dreambooth/stop", "/dreambooth/delete"
FAILURES, REMOVE = "/dreambooth/failures", "/dreambooth/remove_photo"
CHOOSE = "/dreambooth/choose"
PHOTO, EDITED, WRITE = "/dreambooth/photo", "/dreambooth/edited_photos", "/dreambooth/write_edits"
SHORT = [STOP, CHOOSE, DELETE, REMOVE]
GETS, POSTS = [LIVE, OUTPUTS, PHOTOS, PHOTO, HISTORY, FAILURES], [*SHORT, EDITED, WRITE]
OUTSIDE = [
    "..",
    "../input",
    "../output",
    "/etc",
    "a/../..",
    "C:\\",
    "..\\..",
    "%2e%2e",
    ".",
    "",
    "example: ../..",
    "\x00",
]


def ask(comfyui: ComfyUI, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of one request; headers with `_` for `-`."""
    request = urllib.request.Request(f"http://{comfyui.address}{path}", body)
    for name, value in {"Content_Type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=HANG_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text else {}


def post(comfyui: ComfyUI, path: str, /, **fields: object) -> tuple[int, Any]:
    return ask(comfyui, path, json.dumps(fields).encode())


def trained_file(comfyui: ComfyUI, seed: int) -> Path:
    comfyui.run(training(comfyui, seed=seed))
    return comfyui.output_directory / example.newest_run(comfyui)["files"][-1]["file"]


def test_these_are_all_routes_of_the_pack() -> None:
    table = next(
        statement.value
        for statement in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ROUTES"
    )
    assert isinstance(table, ast.Tuple)
    listed = {(ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])) for call in table.elts}  # type: ignore[attr-defined]
    assert listed == {*(("GET", path) for path in GETS), *(("POST", path) for path in POSTS)}
    routed = [file.name for file in SOURCE.parent.glob("*.py") if ".routes" in file.read_text(encoding="utf-8")]
    assert routed == [SOURCE.name]


def test_a_page_of_the_host_behind_a_proxy_that_drops_the_port_may_ask(comfyui: ComfyUI) -> None:
    headers = {"Origin": "https://home.example:8443", "Host": "home.example"}
    assert ask(comfyui, OUTPUTS, **headers)[0] == 403
    assert ask(comfyui, OUTPUTS, **headers, Sec_Fetch_Site="same-origin")[0] == 200
    assert ask(comfyui, OUTPUTS, **headers, Sec_Fetch_Site="same-site")[0] == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
@pytest.mark.parametrize("path", [*GETS, *POSTS])
def test_a_page_of_another_origin_is_refused(comfyui: ComfyUI, path: str, headers: dict[str, str]) -> None:
    for prefix in ("", "/api"):
        assert ask(comfyui, prefix + path, b"{}" if path in POSTS else None, **headers)[0] == 403


@pytest.mark.parametrize("path", [LIVE, HISTORY])
def test_the_pages_own_origin_is_answered(comfyui: ComfyUI, path: str) -> None:
    assert ask(comfyui, path, Origin=f"http://{comfyui.address}", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("host", ["comfy.example:8188", "comfy.example"])
def test_a_foreign_origin_is_refused_where_the_host_does_not_look(comfyui: ComfyUI, host: str) -> None:
    """The host compares only for loopback names; a machine of the network is reached by another."""
    assert ask(comfyui, HISTORY, Host=host, Origin=f"http://{host}")[0] == 200
    status, answer = ask(comfyui, HISTORY, Host=host, Origin="http://evil.example")
    assert (status, set(answer)) == (403, {"error"})


@pytest.mark.parametrize(
    ("path", "length"), [*((path, 4097) for path in SHORT), *((path, 5_000_000) for path in POSTS)]
)
def test_an_oversized_body_is_refused(comfyui: ComfyUI, path: str, length: int) -> None:
    body = json.dumps({"path": "x" * length}).encode()
    assert ask(comfyui, path, body)[0] == 413


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 4000, b'{"node": 3, "path": []}', b"{}"])
def test_a_body_that_is_no_json_object_of_texts_is_refused_with_a_reason(
    comfyui: ComfyUI, path: str, body: bytes
) -> None:
    status, answer = ask(comfyui, path, body)
    assert (status, bool(answer["error"])) == (400, True)


@pytest.mark.parametrize("path", POSTS)
def test_a_plain_form_of_another_page_is_refused(comfyui: ComfyUI, path: str) -> None:
    assert ask(comfyui, path, b'{"path": "a"}', Content_Type="text/plain")[0] == 400


@pytest.mark.parametrize("folder", OUTSIDE)
def test_photos_come_from_the_input_folder_only(comfyui: ComfyUI, folder: str) -> None:
    status, answer = ask(comfyui, f"{PHOTOS}?folder={quote(folder)}&resolution=64")
    assert (status, set(answer)) == (400, {"error"})


@pytest.mark.parametrize(("name", "noun"), [("teapot", "teapot"), ("pug", "dog"), ("black_and_white", None)])
def test_an_example_comes_with_its_class_noun(comfyui: ComfyUI, name: str, noun: str | None) -> None:
    assert ask(comfyui, f"{PHOTOS}?folder=example:%20{name}&resolution=64")[1]["class_noun"] == noun


@pytest.mark.parametrize("resolution", ["", "0", "-64", "65", "1e3", "9" * 5000, "²"])
def test_photos_at_a_size_that_cannot_be_trained_are_refused(comfyui: ComfyUI, resolution: str) -> None:
    assert ask(comfyui, f"{PHOTOS}?folder=example:%20teapot&resolution={quote(resolution)}")[0] == 400


def test_a_folder_that_is_a_link_to_elsewhere_is_refused(comfyui: ComfyUI, tmp_path: Path) -> None:
    shutil.copytree(example.SUBJECTS / "teapot", tmp_path / "private")
    link = comfyui.base_directory / "input" / "linked"
    link.symlink_to(tmp_path / "private")
    try:
        status, answer = ask(comfyui, f"{PHOTOS}?folder=linked&resolution=64")
    finally:
        link.unlink()
    assert (status, "link" in answer["error"]) == (400, True)


def test_photos_of_a_subject_are_shown_with_their_faults(comfyui: ComfyUI) -> None:
    folder = comfyui.base_directory / "input" / "übung eins"
    shutil.copytree(example.SUBJECTS / "teapot", folder)
    shutil.copyfile(folder / "00.png", folder / "09.png")
    status, answer = ask(comfyui, f"{PHOTOS}?folder={quote(folder.name)}&resolution=64")
    assert (status, answer["count"]) == (200, 6)
    assert [[fault["name"] for fault in photo["faults"]] for photo in answer["photos"]] == [[]] * 5 + [
        ["near-duplicate"]
    ]


def test_a_photo_that_is_removed_is_put_aside(comfyui: ComfyUI) -> None:
    folder = comfyui.base_directory / "input" / "to be thinned"
    shutil.copytree(example.SUBJECTS / "teapot", folder)
    (folder / "00.txt").write_text("a caption")
    assert post(comfyui, REMOVE, folder=folder.name, name="00.png") == (200, {"removed": "00.png"})
    assert sorted(file.name for file in (folder / "removed").iterdir()) == ["00.png", "00.txt"]
    answer = ask(comfyui, f"{PHOTOS}?folder={quote(folder.name)}&resolution=64")[1]
    assert [photo["name"] for photo in answer["photos"]] == [f"0{number}.png" for number in range(1, 5)]


def test_edits_change_what_is_shown_and_the_folder_only_when_they_are_written(comfyui: ComfyUI) -> None:
    folder = comfyui.base_directory / "input" / "to be written"
    shutil.copytree(example.SUBJECTS / "teapot", folder)
    edits = {"excluded": ["01.png"], "captions": {"00.png": "a caption"}}
    asked = {"folder": folder.name, "resolution": "64", "edits": edits}
    status, answer = post(comfyui, EDITED, **asked)
    assert (status, answer["count"], answer["excluded"], answer["captions"]) == (200, 4, 1, 1)
    assert len(list(folder.iterdir())) == 5
    assert post(comfyui, WRITE, **asked) == (200, {"written": ["00.txt"]})
    assert ask(comfyui, f"{PHOTOS}?folder={quote(folder.name)}&resolution=64")[1]["captions"] == 1
    shown = ask(comfyui, f"{PHOTO}?folder={quote(folder.name)}&name=00.png")[1]
    assert shown["picture"].startswith("data:image/jpeg;base64,") and shown["mask"] is None
    assert post(comfyui, WRITE, folder=folder.name, edits={"captions": {"../a.png": "x"}})[0] == 400
    assert post(comfyui, EDITED, **{**asked, "edits": []})[0] == 400


@pytest.mark.parametrize("folder", [*OUTSIDE, "(use images)"])
def test_edits_are_of_folders_of_the_input_folder_alone(comfyui: ComfyUI, folder: str) -> None:
    assert ask(comfyui, f"{PHOTO}?folder={quote(folder)}&name=00.png")[0] == 400
    assert post(comfyui, WRITE, folder=folder, edits={"captions": {"00.png": "x"}})[0] == 400
    assert post(comfyui, WRITE, folder="example: teapot", edits={"captions": {"00.png": "x"}})[0] == 400


@pytest.mark.parametrize("folder", [*OUTSIDE, "example: teapot", "(use images)"])
def test_no_photo_is_removed_but_the_users_own(comfyui: ComfyUI, folder: str) -> None:
    assert post(comfyui, REMOVE, folder=folder, name="00.png")[0] == 400


@pytest.mark.parametrize("name", [*OUTSIDE[1:], "../teapot/00.png", "05.png", "removed"])
def test_no_file_is_removed_but_a_photo_of_the_folder(comfyui: ComfyUI, name: str) -> None:
    folder = comfyui.base_directory / "input" / "to be kept"
    shutil.copytree(example.SUBJECTS / "teapot", folder, dirs_exist_ok=True)
    assert post(comfyui, REMOVE, folder=folder.name, name=name)[0] == 400
    assert len(list(folder.iterdir())) == 5


@pytest.mark.parametrize(
    "path", [*OUTSIDE, "loras", "dreambooth", "../models/checkpoints/dreambooth-nodes-toybase.safetensors"]
)
def test_nothing_but_a_result_can_be_deleted(comfyui: ComfyUI, path: str) -> None:
    before = sorted(file for file in comfyui.base_directory.rglob("*.safetensors"))
    assert post(comfyui, DELETE, path=path)[0] == 400
    assert sorted(file for file in comfyui.base_directory.rglob("*.safetensors")) == before


def test_a_result_is_in_the_history_until_it_is_deleted(comfyui: ComfyUI) -> None:
    file = trained_file(comfyui, 11)
    path = f"loras/{file.name}"
    (entry,) = [entry for entry in ask(comfyui, HISTORY)[1] if entry["path"] == path]
    assert (entry["trigger"], entry["steps"], entry["status"]) == ("mdt car", STEPS, "finished")
    beside = [file.with_name(f"{file.stem}{ending}") for ending in (".metadata.json", ".preview.png")]
    assert beside[0].is_file() and json.loads(beside[0].read_text())["civitai"]["trainedWords"] == ["mdt car"]
    assert post(comfyui, DELETE, path=path) == (200, {"deleted": path})
    assert not file.exists() and not any(other.exists() for other in beside)
    assert path not in [entry["path"] for entry in ask(comfyui, HISTORY)[1]]


def test_a_lora_that_was_not_trained_here_stays(comfyui: ComfyUI) -> None:
    file = trained_file(comfyui, 12)
    foreign = file.with_name("from elsewhere.safetensors")
    shutil.copyfile(file, foreign)
    assert post(comfyui, DELETE, path=f"loras/{foreign.name}")[0] == 400
    assert foreign.is_file()


def test_nothing_can_be_stopped_that_does_not_run(comfyui: ComfyUI) -> None:
    status, answer = post(comfyui, STOP, node="9", prompt="none")
    assert (status, "Nothing is trained" in answer["error"]) == (400, True)


def test_stop_and_keep_ends_the_training_and_the_rest_of_the_graph_runs_on(comfyui: ComfyUI) -> None:
    prompt = training(comfyui, steps=500, seed=13)
    number = find(prompt, example.TRAIN)
    prompt["shown"] = node("PreviewAny", source=["applied", 2])
    base = prompt[number]["inputs"]
    prompt["applied"] = node(
        "ApplyPersonalizedModel", model=base["model"], clip=base["clip"], personalized_model=[number, 0],
        strength_model=1.0, strength_clip=1.0,
    )  # fmt: skip
    states: list[dict[str, Any]] = []

    def stop_at_the_second_step(message: Message) -> None:
        if message.kind == "dreambooth.step" and message.data["step"] == 2:
            states.extend(ask(comfyui, LIVE)[1])
            assert post(comfyui, STOP, node=number, prompt=message.data["prompt"])[0] == 200

    outputs = comfyui.run(prompt, stop_at_the_second_step)
    left = example.newest_run(comfyui)
    assert (left["status"], 2 <= len(left["losses"]) < 500) == ("kept", True)
    assert steps_trained(comfyui, change(prompt, example.TRAIN, name="kept")) == 0
    assert "mdt car" in json.dumps(outputs["shown"])
    (card,) = outputs["applied"]["dreambooth_card"]
    assert (card["trigger"], card["steps"], card["warning"]) == ("mdt car", len(left["losses"]), None)
    (during,) = [state for state in states if state["node"] == number]
    assert (during["status"], during["steps"], during["points"][0][0]) == ("running", 500, 1)
    (afterwards,) = [state for state in ask(comfyui, LIVE)[1] if state["node"] == number]
    assert (afterwards["status"], len(afterwards["points"])) == ("kept", len(left["losses"]))


@pytest.mark.parametrize("run", [*OUTSIDE, "0" * 24])
def test_no_step_is_chosen_of_a_run_that_is_not_there(comfyui: ComfyUI, run: str) -> None:
    assert post(comfyui, CHOOSE, run=run, step=1)[0] == 400


@pytest.mark.slow
def test_a_scored_step_is_made_the_result_and_the_graph_takes_it(comfyui: ComfyUI) -> None:
    """With one step of sampling, by the name of the LoRA that the model has which draws."""
    shutil.copyfile(trained_file(comfyui, 21), comfyui.output_directory / "loras" / "one_1step.safetensors")
    prompt = training(comfyui, seed=22, steps=2, score_every=1)
    train = find(prompt, example.TRAIN)
    base = find(prompt, "LoadToyBase")
    prompt["few"] = node("LoraLoaderModelOnly", model=[base, 0], lora_name="one_1step.safetensors", strength_model=0.5)
    prompt[train]["inputs"]["draw_with"] = ["few", 0]
    comfyui.run(prompt)
    record = example.newest_run(comfyui)
    run, scores = record["key"][:24], record["scores"]
    assert [point["step"] for point in scores] == [1, 2] and "drawn with another model" in record["choice"]
    now = record["files"][-1]["step"]
    other = 3 - now
    status, answer = post(comfyui, CHOOSE, run=run, step=other)
    assert (status, answer["step"]) == (200, other)
    messages: list[Message] = []
    (said,) = comfyui.run(prompt, messages.append)[train]["text"]
    assert said.startswith(answer["file"]) and not any(one.kind == "dreambooth.step" for one in messages)
    assert post(comfyui, CHOOSE, run=run, step=9)[0] == 400
    assert post(comfyui, CHOOSE, run=run, step=True)[0] == 400
