"""The file that users open from the template browser, run in a real ComfyUI at small settings."""

from __future__ import annotations

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Outputs
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import Prompt, change, find, inputs_of
from dreambooth_nodes.tests.host.graphs import STEPS, apart, only, pixels, small, steps_trained


@pytest.fixture(scope="module")
def prompt(comfyui: ComfyUI) -> Prompt:
    return small(comfyui)


@pytest.fixture(scope="module")
def first_run(comfyui: ComfyUI, prompt: Prompt) -> tuple[Outputs, list[Message]]:
    messages: list[Message] = []
    return comfyui.run(prompt, messages.append), messages


def test_the_example_trains_and_draws(
    comfyui: ComfyUI, prompt: Prompt, first_run: tuple[Outputs, list[Message]]
) -> None:
    outputs, _ = first_run
    base, personalized = (
        pixels(comfyui.images(outputs, find(prompt, name))[0]) for name in ("Base pictures", "Personalized pictures")
    )
    assert apart(base, personalized) > 0
    trained = example.newest_run(comfyui)
    assert (trained["status"], len(trained["losses"])) == ("finished", STEPS)
    assert all((comfyui.output_directory / kept["file"]).is_file() for kept in trained["files"])


def test_the_node_shows_progress_and_samples(prompt: Prompt, first_run: tuple[Outputs, list[Message]]) -> None:
    number, messages = find(prompt, example.TRAIN), first_run[1]
    steps = [m.data["value"] for m in messages if m.kind == "progress" and m.data["node"] == number]
    assert set(steps) >= set(range(1, STEPS + 1))
    kinds = [message.kind for message in messages]
    after = kinds[kinds.index("dreambooth.step") : kinds.index("dreambooth.saved")]
    # The host would put its own preview below the panel, and the node would grow over its neighbours.
    assert "dreambooth.sample" in after and "preview" not in after


def test_another_prompt_trains_nothing(
    comfyui: ComfyUI, prompt: Prompt, first_run: tuple[Outputs, list[Message]]
) -> None:
    asked = example.with_texts(prompt, "dog", "on the moon")
    assert steps_trained(comfyui, asked) == 0


def test_another_name_trains_nothing(
    comfyui: ComfyUI, prompt: Prompt, first_run: tuple[Outputs, list[Message]]
) -> None:
    assert steps_trained(comfyui, change(prompt, example.TRAIN, name="renamed")) == 0


def test_a_restarted_host_trains_nothing_and_lists_the_result(
    comfyui: ComfyUI, prompt: Prompt, first_run: tuple[Outputs, list[Message]]
) -> None:
    comfyui.restart()
    assert steps_trained(comfyui, only(prompt, example.TRAIN)) == 0
    ((_, _, combo),) = inputs_of(comfyui.object_info()["LoadPersonalizedModel"])
    assert combo["options"][0] == example.newest_run(comfyui)["files"][-1]["file"]
