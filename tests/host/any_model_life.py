"""What holds for every kind of model that a host trains in its memory, from photos to the stock loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, ComfyUIError, Interrupted
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.tests.host.any_model import (
    STEPS,
    Kind,
    applied,
    by_the_stock_loader,
    loaded,
    lora_of,
    newest_sample,
    pictures,
    training,
    weights_of,
)
from dreambooth_nodes.tests.host.graphs import IDENTIFIER, apart, steps_trained
from dreambooth_nodes.trainer.files.safetensors import read_metadata

SAMPLES = {"sample_count": 1}
MANY = 30
"""Steps of a run that is ended from outside twice, before it has trained them all."""


def check_priors_train_save_and_the_stock_loader(host: ComfyUI, kind: Kind) -> None:
    """Priors, a training with samples, its file's names and metadata; KSampler's pictures with the file, by the stock
    loader and by ours, chained, without strength, and of the model afterwards.
    """
    (before,) = pictures(host, kind, loaded(kind), "model")
    messages: list[Message] = []
    graph = training(kind, options=SAMPLES)
    host.run(graph, messages.append)
    assert sum(message.kind == "dreambooth.step" for message in messages) == STEPS
    warned = [message.data["warning"] for message in messages if message.kind == "dreambooth.warned"]
    assert [values for sentence, *values in warned if "distilled" in sentence] == [[kind.model]]
    run = example.newest_run(host)
    assert run["status"] == "finished" and all(point["prior"] is not None for point in run["losses"])

    file = lora_of(run, host)
    check_file(kind, file)
    graph |= {
        "lora": by_the_stock_loader(file),
        "ours": applied("model", "train"),
        "none": applied("model", "train", strength=0.0),
        "both": applied("ours", "train"),
    }
    after, lora, ours, none, both = pictures(host, kind, graph, "model", "lora", "ours", "none", "both")
    log = host.log.read_text(encoding="utf-8", errors="replace")
    assert "lora key not loaded" not in log
    assert apart(after, before) == apart(none, before) == apart(ours, lora) == 0
    assert apart(lora, before) > 2 and apart(both, lora) > 2
    assert apart(newest_sample(host, STEPS), lora) <= 2
    assert steps_trained(host, training(kind, options=SAMPLES)) == 0


def check_file(kind: Kind, file: Path) -> None:
    """A result's names of layers and its metadata."""
    layers = {key.removesuffix(".alpha") for key in load_file(file) if key.endswith(".alpha")}
    assert layers == {f"diffusion_model.{layer}" for layer in kind.layers}
    metadata = read_metadata(file)
    assert metadata["modelspec.architecture"] == f"{kind.architecture}/lora"
    assert IDENTIFIER in metadata["modelspec.trigger_phrase"]


def check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone(host: ComfyUI, kind: Kind) -> None:
    """Cancelled, its LoRA is kept; queued again it goes on; the host is killed, started and goes on again: the same
    bits as without all this, so the key is the same after the restart.
    """
    asked = training(kind, steps=MANY, seed=7, options={"state_seconds": 0.01})
    with pytest.raises(Interrupted, match="DreamBoothTrain"):
        host.run(asked, at_step(3, host.interrupt))
    left = example.newest_run(host)
    assert left["status"] == "stopped" and lora_of(left, host).is_file()
    with pytest.raises(ComfyUIError, match="closed the connection"):
        host.run(asked, at_step(12, host.kill))
    host.restart()
    assert 0 < steps_trained(host, asked) < MANY
    resumed = example.newest_run(host)
    assert resumed["base"] == left["base"] and len(resumed["losses"]) == MANY
    kept = weights_of(resumed, host)

    host.free()
    runs = host.output_directory / "dreambooth" / "runs"
    runs.rename(runs.with_name(f"moved {kind.architecture}"))
    assert steps_trained(host, asked) == MANY
    straight = example.newest_run(host)
    assert [point["instance"] for point in straight["losses"]] == [point["instance"] for point in resumed["losses"]]
    assert weights_of(straight, host) == kept


def at_step(step: int, act: Callable[[], None]) -> Callable[[Message], None]:
    """Act when a training has come to this step."""

    def on_message(message: Message) -> None:
        if message.kind == "dreambooth.step" and message.data["step"] == step:
            act()

    return on_message
