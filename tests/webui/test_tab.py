"""The tab in a browser, under both Gradios: from dropped photos to a prompt in txt2img."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from PIL import Image

from dreambooth_nodes.tests.webui.conftest import SUBJECT, Serve, Served
from dreambooth_nodes.tests.webui.tab_page import (
    PATIENCE,
    RANK,
    SAID,
    add_list_button,
    ask,
    await_ready,
    drag_and_drop,
    drop,
    field,
    fill,
    loras,
    new_page,
    offered,
    open_tab,
    said,
    slow_down,
    status,
    unfold,
)
from dreambooth_nodes.trainer.files.safetensors import read_shapes
from dreambooth_nodes.trainer.options import TEXTS
from dreambooth_nodes.trainer.runs.personalized import read_personalized
from dreambooth_nodes.trainer.subject.class_nouns import everyday_nouns

IN_ONE_GRADIO = pytest.mark.parametrize(
    "webui", ["a1111", pytest.param("forge", marks=pytest.mark.slow)], indirect=True, scope="module"
)
"""Of tests of what our own process does for the tab, or what both Gradios are asked in one way: with the other Gradio
only in `make test-all`.
"""


@pytest.fixture(scope="module", params=["a1111", "forge"])
def webui(request: pytest.FixtureRequest, serve: Serve) -> Served:
    return serve(request.param)


def records(webui: Served) -> list[dict[str, Any]]:
    """What is known of every run."""
    folder = webui.data / "outputs" / "dreambooth" / "runs"
    return [json.loads(record.read_text(encoding="utf-8")) for record in folder.glob("*/run.json")]


@pytest.fixture
def page(webui: Served, chromium: Any) -> Any:
    page = new_page(chromium, webui.url)
    yield page
    page.close()


def test_a_photo_that_cannot_be_used_is_named_and_the_others_are_shown(page: Any, tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff no picture")
    again = Path(shutil.copy(SUBJECT / "00.png", tmp_path / "again.png"))
    drop(page, SUBJECT / "00.png", again, torn)
    page.locator("#dreambooth_faults [role=alert]").wait_for()
    said = page.locator("#dreambooth_faults").first.inner_text()
    assert "torn.jpg" in said and "again.png: Nearly the same picture as 00.png" in said
    page.locator("#dreambooth_thumbnails img").nth(1).wait_for()
    assert page.locator("#dreambooth_thumbnails img").count() == 2


@IN_ONE_GRADIO
def test_the_photos_are_reported_on_before_anything_is_trained(page: Any, tmp_path: Path) -> None:
    caption, mask = tmp_path / "00.txt", tmp_path / "01-masklabel.png"
    caption.write_text("a dog, <b>bold</b>")
    photo = Image.open(SUBJECT / "01.png")
    half = Image.new("L", photo.size)
    half.paste(255, (0, 0, photo.width // 2, photo.height))
    half.save(mask)
    fill(page, "dreambooth_resolution", 64)
    drop(page, *sorted(SUBJECT.glob("*.png"))[:4], caption, mask)
    report = page.locator("#dreambooth_faults details")
    report.get_by_text("4 photos, 4 trained as 64 x 64, 1 with a caption, 1 with a mask").wait_for()
    report.locator("summary").click()
    rows = [row.inner_text().split("\t") for row in report.locator("tbody tr").all()]
    size = f"{photo.width} x {photo.height}"
    assert [row[:6] for row in rows] == [
        [
            f"0{number}.png",
            size,
            "64 x 64",
            "25",
            "yes" if number == 1 else "–",
            "a dog, <b>bold</b>" if not number else "–",
        ]
        for number in range(4)
    ]


@pytest.mark.parametrize("give", [drop, drag_and_drop])
def test_photos_arrive_whatever_is_chosen_meanwhile(page: Any, give: Callable[..., None]) -> None:
    slow_down(page)
    give(page, *sorted(SUBJECT.glob("*.png")))
    page.locator("#dreambooth_method label", has_text="full").click()
    page.locator("#dreambooth_thumbnails img").nth(4).wait_for()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '400'")


def test_no_file_is_handed_on_that_was_not_uploaded(webui: Served, tmp_path: Path) -> None:
    config = webui.request("/config")
    (arrived,) = [
        c["id"] for c in config["components"] if c["props"].get("elem_id") == "dreambooth_photos_arrived"
    ] or [None]
    if arrived is None:
        assert webui.kind == "forge", "whose Gradio looks at the paths itself"
        return
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (handler,) = [n for n, done in enumerate(config["dependencies"]) if done["inputs"] == [arrived]]
    uploads = Path(tempfile.gettempdir()) / "gradio"
    for path in (secret, uploads / os.path.relpath(secret, uploads)):
        named = {"name": str(path), "orig_name": "photo.png", "is_file": True, "data": None}
        with pytest.raises(HTTPError) as refused:
            webui.request("/api/predict", {"fn_index": handler, "data": [[named]]})
        assert "was not uploaded" in refused.value.read().decode()


def test_nothing_is_shown_of_a_training_before_there_is_one(chromium: Any, serve: Serve) -> None:
    page = new_page(chromium, serve("a1111").url)
    for name in ("thumbnails", "samples", "choose", "parameters", "send", "next"):
        assert not page.locator(f"#dreambooth_{name}").is_visible(), name
    page.close()


def test_fields_of_a_row_stand_on_one_line_and_so_do_their_labels(page: Any) -> None:
    unfold(page)
    tops = page.evaluate(
        """() => [...document.querySelectorAll('#tab_dreambooth .dreambooth-fields')].map(row => {
            const of = selector => [...row.querySelectorAll(selector)].map(e => {
                const box = e.getBoundingClientRect();
                return box.top + (e.type === 'checkbox' ? box.height / 2 - 21 : 0);
            });
            return [of('[data-testid="block-info"]'), of('input[type=number], input[type=text], input[type=checkbox]')];
        })"""
    )
    apart = [max(line) - min(line) for row in tops for line in row if len(line) > 1]
    assert len(apart) > 30 and max(apart) <= 4, apart


def test_every_control_has_a_name_for_screen_readers(page: Any) -> None:
    unfold(page)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('#tab_dreambooth input:not([type=file]), #tab_dreambooth textarea')]
            .filter(e => !(e.closest('label') || e.getAttribute('aria-label')
                           || document.querySelector(`label[for="${e.id}"]`))).map(e => e.outerHTML)"""
    )
    assert unnamed == []
    with page.expect_file_chooser():
        page.locator("#dreambooth_photos input[type=file]").locator("..").press("Enter")
    assert [name for name in TEXTS if page.locator(f"#dreambooth_{name}").count() != 1] == []


@IN_ONE_GRADIO
def test_steps_of_a_kind_of_subject_follow_the_photos(page: Any) -> None:
    unfold(page)
    page.locator("#dreambooth_preset label", has_text="person").click()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '0'")
    said(page, "preset_steps", "Person: steps follow the photos (320 a photo, 1200 to 4000)")
    drop(page, *sorted(SUBJECT.glob("*.png")))
    said(page, "preset_steps", "Person: 1600 steps for 5 photos")
    page.locator("#dreambooth_method label", has_text="full").click()
    said(page, "preset_steps", "Person: 800 steps for 5 photos")
    page.locator("#dreambooth_preset label", has_text="fast").click()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '200'")
    page.locator("#dreambooth_preset_steps p").wait_for(state="detached")


@IN_ONE_GRADIO
def test_a_rare_word_is_picked_and_its_report_is_shown(page: Any) -> None:
    fill(page, "dreambooth_class_noun", "dog")
    page.locator("#dreambooth_pick").click()
    field(page, "dreambooth_report").wait_for(timeout=PATIENCE)
    word = field(page, "dreambooth_identifier").input_value()
    assert f"identifier: {word} " in field(page, "dreambooth_report").input_value()


@pytest.mark.slow
@IN_ONE_GRADIO
def test_a_class_noun_is_suggested_and_a_click_fills_it_in(page: Any) -> None:
    page.locator("#dreambooth_suggest").click()
    said(page, "mistake_noun", "no photo")
    drop(page, *sorted(SUBJECT.glob("*.png")))
    page.locator("#dreambooth_thumbnails img").nth(4).wait_for()
    page.locator("#dreambooth_suggest").click()
    chips = page.locator("#dreambooth_nouns label")
    chips.nth(7).wait_for(timeout=PATIENCE)
    noun = chips.nth(1).inner_text().strip().rpartition(" ")[0]
    assert noun in everyday_nouns()
    chips.nth(1).click()
    page.wait_for_function(
        f"document.querySelector('#dreambooth_class_noun input, #dreambooth_class_noun textarea').value === '{noun}'"
    )


@pytest.mark.slow
def test_the_machine_is_checked_and_its_report_is_shown(page: Any) -> None:
    page.locator("#dreambooth_machine .label-wrap").first.click()
    page.locator("#dreambooth_check").click()
    page.wait_for_function(
        "document.querySelector('#dreambooth_machine_report textarea').value.startsWith('This machine trains.')",
        timeout=PATIENCE,
    )


def test_from_photos_to_a_prompt_in_txt2img(page: Any, webui: Served) -> None:
    drop(page, *sorted(SUBJECT.glob("*.png")))
    page.locator("#dreambooth_thumbnails img").nth(4).wait_for()
    unfold(page)
    # The preset's number is there, and follows the method.
    assert float(field(page, "dreambooth_steps").input_value()) == 800
    page.locator("#dreambooth_method label", has_text="full").click()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '400'")
    page.locator("#dreambooth_method label", has_text="lora").click()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '800'")
    for name, value in SAID.items():
        fill(page, f"dreambooth_{name}", value)
    add_list_button(page)
    page.locator("#dreambooth_train").click()
    status(page).get_by_text("Running").wait_for(timeout=PATIENCE)
    open_tab(page, "txt2img")
    fill(page, "txt2img_prompt", "a car")
    page.locator("#txt2img_generate").click()
    open_tab(page, "DreamBooth")
    status(page).get_by_text("Finished", exact=True).wait_for(timeout=PATIENCE)
    lora = webui.data / "models" / "Lora" / "spotty_00001.safetensors"
    assert read_personalized(lora).trigger == "olt dog"
    assert json.loads(lora.with_suffix(".json").read_text())["activation text"] == "olt dog"
    assert lora.with_suffix(".png").is_file()
    assert page.locator("#dreambooth_curve svg[role=img]").count() == 1
    page.locator("#dreambooth_samples img").first.wait_for()
    page.wait_for_function("window.listed === 1")
    offered(page, "dreambooth_continue_from", "spotty_00001")
    page.keyboard.press("Escape")
    page.locator("#dreambooth_send").click()
    open_tab(page, "txt2img")
    page.wait_for_function(
        "document.querySelector('#txt2img_prompt textarea, #txt2img_prompt input').value.includes('olt')"
    )
    sent = field(page, "txt2img_prompt").input_value()
    assert re.match(
        r"olt dog <lora:spotty_00001:1>\s+Steps: 20, Size: 64x64, Model hash: 0498c7b6, Model: toybase", sent
    )
    webui.await_log("txt2img")
    # The WebUI's model goes before; its lists know the file; and txt2img had to wait for all of it.
    order = webui.log[len(webui.log) - 1 - webui.log[::-1].index("start_task") :]
    # Forge loads it again for the next picture.
    made_room = ["model unloaded"] if webui.kind == "a1111" else ["memory freed", "model unloaded"]
    given_back = ["model back"] if webui.kind == "a1111" else []
    # Forge looks for learned words at every prompt.
    lists = ["checkpoints listed", "loras listed", *(["words listed"] if webui.kind == "a1111" else [])]
    order.remove("txt2img waits")
    assert order == ["start_task", *made_room, *given_back, *lists, "finish_task", "txt2img"]


@IN_ONE_GRADIO
def test_the_step_that_is_the_result_is_not_offered_again(page: Any) -> None:
    page.locator("#dreambooth_samples img").first.click()
    page.locator("#dreambooth_choose", has_text="Step 3 is the result").wait_for()
    assert page.locator("#dreambooth_choose").is_disabled()


@IN_ONE_GRADIO
def test_the_same_again_is_found_and_shown_as_it_was(page: Any, webui: Served) -> None:
    ask(page)
    page.locator("#dreambooth_train").click()
    status(page).get_by_text("nothing had to be trained").wait_for(timeout=PATIENCE)
    status(page).get_by_text("Finished", exact=True).wait_for()
    assert "after 3 steps" in str(page.locator("#dreambooth_curve svg").get_attribute("aria-label"))
    page.locator("#dreambooth_samples img").first.wait_for()
    assert [file.name for file in loras(webui)] == ["spotty_00001.safetensors"]


@IN_ONE_GRADIO
def test_a_lora_of_the_webuis_is_gone_on_from_with_its_rank(page: Any, webui: Served) -> None:
    ask(page)
    # The preset's, which a click on the LoRA has to change.
    fill(page, "dreambooth_rank", 16)
    offered(page, "dreambooth_continue_from", loras(webui)[0].name).click()
    page.wait_for_function(f"document.querySelector('#dreambooth_rank input').value == '{RANK}'")
    page.locator("#dreambooth_train").click()
    status(page).get_by_text("spotty_00002").wait_for(timeout=PATIENCE)
    shapes = read_shapes(loras(webui)[1])
    assert {shape[0] for key, shape in shapes.items() if "lora_down" in key} == {RANK}
    begun = [record["asked"]["continue_from"] for record in records(webui) if record["name"] == "spotty"]
    assert sorted(map(bool, begun)) == [False, True]


@IN_ONE_GRADIO
def test_another_page_sees_what_was_trained(page: Any) -> None:
    status(page).get_by_text("Finished", exact=True).wait_for()
    page.locator("#dreambooth_subjects .label-wrap").first.click()
    assert "spotty_00001.safetensors" in page.locator("#dreambooth_history").first.inner_text()


def test_mistakes_are_sentences_where_they_were_made_and_no_errors(page: Any, webui: Served, tmp_path: Path) -> None:
    console = webui.data / "console.txt"
    before, printed = webui.log, console.read_text()
    add_list_button(page)
    page.locator("#dreambooth_train").click()
    said(page, "mistake_training", "there is no photo")
    text = tmp_path / "notes.txt"
    text.write_text("a dog")
    drop(page, text)
    said(page, "faults", "notes.txt is the caption of no photo")
    page.locator("#dreambooth_train").click()
    said(page, "mistake_training", "notes.txt is the caption of no photo")
    page.locator("#dreambooth_pick").click()
    said(page, "mistake_words", "no class noun")
    fill(page, "dreambooth_resolution", 63)
    said(page, "mistake_counts", "resolution is 63")
    fill(page, "dreambooth_resolution", 0)
    fill(page, "dreambooth_priors", -1)
    said(page, "mistake_counts", "class images are -1")
    page.locator("#dreambooth_stop").click()
    said(page, "mistake_training", "No training is running")
    assert page.locator("#tab_dreambooth .error, .toast-body").count() == 0
    assert "Traceback" not in console.read_text().removeprefix(printed)
    assert webui.log == before, "no job was begun for any of it"
    # Automatic1111 loads its model for it.
    assert page.evaluate("window.listed") is None


@pytest.mark.parametrize("mend", ["photos", "a field", "a choice"])
def test_what_a_press_was_answered_goes_with_the_form_and_not_before(page: Any, mend: str) -> None:
    for _ in range(2):
        page.locator("#dreambooth_train").click()
        said(page, "mistake_training", "there is no photo")
    page.locator("#dreambooth_pick").click()
    said(page, "mistake_words", "no class noun")
    # The lists are drawn anew after a press.
    time.sleep(2)
    said(page, "mistake_training", "there is no photo")
    match mend:
        case "photos":
            drop(page, SUBJECT / "00.png")
        case "a field":
            fill(page, "dreambooth_class_noun", "dog")
        case "a choice":
            page.locator("#dreambooth_method label", has_text="full").click()
    for where in ("training", "words"):
        page.locator(f"#dreambooth_mistake_{where} p").wait_for(state="hidden")
    page.locator("#dreambooth_stop").click()
    said(page, "mistake_training", "No training is running")


def test_a_page_that_is_loaded_anew_has_the_form_as_it_was(page: Any) -> None:
    page.locator("#dreambooth_method label", has_text="full").click()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '400'")
    ask(page)
    fill(page, "dreambooth_steps", 7)
    # The browser keeps what it was told a moment ago.
    page.wait_for_function("JSON.parse(localStorage.getItem('dreambooth-form')).steps == 7")
    page.reload()
    open_tab(page, "DreamBooth")
    await_ready(page)
    page.locator("#dreambooth_thumbnails img").nth(4).wait_for()
    page.wait_for_function("document.querySelector('#dreambooth_steps input').value == '7'")
    asked = {name: str(value) for name, value in {**SAID, "steps": 7}.items()}
    assert {name: field(page, f"dreambooth_{name}").input_value() for name in asked} == asked
    assert page.locator("#dreambooth_method input[value=full]").is_checked()


@IN_ONE_GRADIO
def test_another_page_is_told_of_the_training_that_runs(page: Any, chromium: Any, webui: Served) -> None:
    other = new_page(chromium, webui.url)
    for asking in (page, other):
        ask(asking)
        fill(asking, "dreambooth_steps", 30_000)
    page.locator("#dreambooth_train").click()
    said(page, "status", "of 30000")
    # Also on the page that is watching it, where Gradio would keep the click for later, or drop it.
    for asking in (page, other):
        asking.locator("#dreambooth_train").click()
        said(asking, "mistake_training", "a training is running")
        said(asking, "status", "of 30000")
    other.locator("#dreambooth_stop").click()
    for asking in (page, other):
        said(asking, "status", "Stopped, and what was trained is saved")
    assert loras(webui)[-1].with_suffix(".png").is_file(), "no sample was drawn, so its card shows a photo"
    other.close()
    time.sleep(1)
    assert webui.log.count("start_task") == webui.log.count("finish_task"), "no training was begun by those clicks"
