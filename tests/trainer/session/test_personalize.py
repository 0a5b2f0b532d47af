"""A whole run, for the properties that the method promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.trainer.events import Event, Phase, Planned, Sample, Saved, Step, StoppedEarly
from dreambooth_nodes.trainer.files.safetensors import read_tensors
from dreambooth_nodes.trainer.methods.registry import Lora
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.offload import on_device
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.past_runs import find_finished, results
from dreambooth_nodes.trainer.runs.personalized import Personalized, read_personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import Run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.divergence import TrainingDiverged
from dreambooth_nodes.trainer.training.encoded import encode_images

NewBase = Callable[[], Base]


def request(subject: Subject, priors: ClassPriors | None, name: str = "dog", **options: Any) -> Request:
    settings = {"steps": 2, "sample_count": 0, "precision": "fp32", **options}
    return Request(subject=subject, identifier="ohwx", options=TrainOptions(**settings), name=name, priors=priors)


def trained(result: Personalized) -> dict[str, torch.Tensor]:
    return read_tensors(result.file)


def curve(run: Run) -> list[float]:
    return [point.instance for point in run.losses()]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    method: str, new_base: NewBase, subject: Subject, class_priors: ClassPriors, tmp_path: Path
) -> None:
    files = []
    for name in ("first", "second"):
        output = tmp_path / name
        place = Store(output / "loras", output / "checkpoints", output / "dreambooth")
        files.append(trained(personalize(new_base(), request(subject, class_priors, method=method), place)[0]))
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])


def test_a_lora_is_the_same_on_layers_that_were_loaded_in_the_forwards_dtype(
    tiny_base_file: Path, subject: Subject, tmp_path: Path
) -> None:
    asked = request(subject, None, precision="bf16")
    dtype = Lora.load_dtype(asked.options, torch.bfloat16)
    files = []
    for name, loaded_in in (("float32", torch.float32), ("forward", dtype)):
        output = tmp_path / name
        place = Store(output / "loras", output / "checkpoints", output / "dreambooth")
        files.append(trained(personalize(load_base(tiny_base_file, dtype=loaded_in), asked, place)[0]))
    assert dtype == torch.bfloat16
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])


def test_a_finished_run_is_found_and_not_trained_again(
    new_base: NewBase, subject: Subject, class_priors: ClassPriors, store: Store
) -> None:
    events: list[Event] = []
    base = new_base()
    asked = request(subject, class_priors)
    result, _ = personalize(base, asked, store, events.append)
    # A CPU with little memory left is told a plan, too.
    assert [type(e) for e in events if not isinstance(e, Planned)] == [Phase, Phase, Step, Step, Phase, Saved]
    events.clear()
    renamed = request(subject, class_priors, name="other", sample_every=1)
    assert personalize(new_base(), renamed, store, events.append)[0] == result
    assert not events
    for change in ({"seed": 1}, {"steps": 3}, {"learning_rate": 2e-4}, {"rank": 4}):
        assert find_finished(request(subject, class_priors, **change), base.fingerprint, store) is None
    assert find_finished(request(subject, None), base.fingerprint, store) is None
    result.file.unlink()
    assert find_finished(asked, base.fingerprint, store) is None


def test_no_weight_on_the_prior_term_is_no_priors(
    new_base: NewBase, subject: Subject, class_priors: ClassPriors, store: Store
) -> None:
    without = trained(personalize(new_base(), request(subject, None), store)[0])
    weightless = trained(personalize(new_base(), request(subject, class_priors, prior_weight=0.0), store)[0])
    assert all(torch.equal(without[key], weightless[key]) for key in without)


@pytest.mark.slow
def test_training_lowers_the_loss_on_the_subject(toybase_file: Path, subject: Subject, store: Store) -> None:
    asked = request(subject, None, steps=40, learning_rate=1e-3, batch_size=2)
    _, run = personalize(load_base(toybase_file), asked, store)
    losses = curve(run)
    assert sum(losses[-15:]) < 0.9 * sum(losses[:15])


@pytest.mark.parametrize("text_encoder", [False, True])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_only_what_is_trained_changes(
    method: str, text_encoder: bool, new_base: NewBase, subject: Subject, store: Store
) -> None:
    base = new_base()
    frozen = {"vae": base.vae, **({} if text_encoder else base.text_encoders)}
    names = [*frozen, *(["denoiser"] if method == "lora" else [])]
    before = {name: {k: v.clone() for k, v in base.components()[name].state_dict().items()} for name in names}
    result, _ = personalize(base, request(subject, None, method=method, train_text_encoder=text_encoder), store)
    let_go = {} if text_encoder else base.text_encoders
    assert all(weight.is_meta for module in let_go.values() for weight in module.parameters())
    with on_device(base, frozen):
        states = {name: base.components()[name].state_dict() for name in names}
        after = {n: {key.replace(".base_layer.", "."): v for key, v in state.items()} for n, state in states.items()}
        assert all(torch.equal(value, after[name][key]) for name in names for key, value in before[name].items())
    saved_text = [key for key in trained(result) if key.startswith("lora_te_")]
    assert bool(saved_text) == (text_encoder and method == "lora")


def test_a_lora_starts_as_nothing(new_base: NewBase, base: Base) -> None:
    from dreambooth_nodes.trainer.methods.registry import Lora

    adapted = new_base()
    Lora().attach(adapted, TrainOptions(rank=4))
    z, t = torch.randn(1, 4, 8, 8), torch.tensor([500])
    with torch.no_grad():
        conditioning = base.encode_prompts(["a dog"])
        assert torch.equal(adapted.predict(z, t, conditioning), base.predict(z, t, conditioning))


def test_cancelling_keeps_what_was_trained(new_base: NewBase, subject: Subject, store: Store) -> None:
    steps: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event.step)

    result, run = personalize(new_base(), request(subject, None, steps=50), store, listen, lambda: len(steps) >= 2)
    assert steps == [1, 2] and result.steps == 2 and run.record["status"] == "stopped"
    assert read_personalized(result.file).trigger == "ohwx dog"
    assert find_finished(request(subject, None, steps=50), result.trained_from, store) is None
    assert [found for _, found in results(store)] == [result]


def test_an_exception_from_the_host_keeps_what_was_trained(new_base: NewBase, subject: Subject, store: Store) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Step) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        personalize(new_base(), request(subject, None, steps=50), store, interrupt)
    assert [found.steps for _, found in results(store)] == [2]


def test_stopped_before_the_first_step_nothing_is_written(new_base: NewBase, subject: Subject, store: Store) -> None:
    with pytest.raises(StoppedEarly):
        personalize(new_base(), request(subject, None), store, stop=lambda: True)
    assert not store.loras.exists() and not results(store)


def test_a_loss_that_is_no_number_names_the_learning_rate_and_saves_nothing(
    new_base: NewBase, subject: Subject, store: Store
) -> None:
    with pytest.raises(TrainingDiverged, match="learning rate 1e"):
        personalize(new_base(), request(subject, None, method="full", steps=30, learning_rate=1e30), store)
    assert not store.checkpoints.exists() and not results(store)


def test_samples_come_when_asked_for(new_base: NewBase, subject: Subject, store: Store) -> None:
    samples: list[Sample] = []
    options = {"steps": 4, "sample_every": 2, "sample_count": 1, "sample_prompt": "[V] {class} on the beach"}
    _, run = personalize(
        new_base(),
        request(subject, None, **options),
        store,
        lambda e: samples.extend([e] if isinstance(e, Sample) else []),
    )
    assert [(s.step, s.prompt) for s in samples] == [(2, "ohwx dog on the beach"), (4, "ohwx dog on the beach")]
    shown = torch.cat([s.images for s in samples])
    assert run.samples.all().shape == (2, 3, 64, 64)
    torch.testing.assert_close(run.samples.all(), shown, atol=1 / 255, rtol=0)


def test_the_record_says_what_was_done(
    new_base: NewBase, subject: Subject, class_priors: ClassPriors, store: Store
) -> None:
    result, run = personalize(new_base(), request(subject, class_priors), store)
    record = json.loads((run.folder / "run.json").read_text())
    assert record["status"] == "finished" and record["trigger"] == "ohwx dog" and record["priors"] == 3
    assert (store.work.parent / record["files"][0]["file"]).samefile(result.file)
    assert [point["step"] for point in record["losses"]] == [1, 2]
    assert all(point["prior"] is not None for point in record["losses"])
    assert str(store.work) not in json.dumps(record)


@pytest.mark.parametrize("identifier", ["", "  "])
def test_no_identifier_is_refused(subject: Subject, identifier: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        Request(subject=subject, identifier=identifier, options=TrainOptions(), name="dog")


def test_a_mask_reaches_the_latents(new_base: NewBase, subject: Subject) -> None:
    mask = torch.zeros(64, 64)
    mask[:, :32] = 1
    encoded = encode_images(new_base(), [Photo("0", subject.photos[0].pixels, mask, None)], [0])
    assert encoded.masks is not None
    assert torch.equal(encoded.masks[0][0], mask[::8, ::8])
