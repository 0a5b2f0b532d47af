"""What a run leaves in the host's folders, where it was stopped, died or could not write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
from dreambooth_nodes.trainer.events import Event, Saved, Step, Warned
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_shapes, read_tensors, write_tensors
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.runs.past_runs import find_finished
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import open_run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.saving import ResultNotWritten


def test_files_to_choose_from_are_usable_and_not_written_twice(new_base: NewBase, asked: Request, store: Store) -> None:
    asked = with_options(asked, save_every=2)
    events: list[Event] = []
    personalize(new_base(), asked, store, *stopped_after(DEATH))
    result, run = personalize(new_base(), asked, store, events.append)
    names = sorted(file.name for file in store.loras.glob("*.safetensors"))
    assert names == [
        "dog_00001.safetensors",
        "dog_00002.safetensors",
        "dog_step2_00001.safetensors",
        "dog_step4_00001.safetensors",
    ]
    kept = run.file_of(4)
    assert kept is not None and kept.steps == 4 and run.file() == result
    assert [event.path.name for event in events if isinstance(event, Saved)] == [names[3], names[1]]


def test_the_lora_that_is_gone_on_from_may_be_deleted_meanwhile(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    first, _ = personalize(new_base(), asked, store)

    def delete(event: Event) -> None:
        if isinstance(event, Step):
            first.file.unlink(missing_ok=True)

    result, _ = personalize(new_base(), replace(asked, continue_from=first.file, name="next"), store, delete)
    assert result.file.is_file() and not first.file.exists()


def test_a_result_that_cannot_be_written_is_kept_and_written_by_the_next_run(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    asked = with_options(asked, save_every=2)
    whole, _ = personalize(new_base(), asked, other(store, "straight"))
    store.loras.parent.mkdir(parents=True)
    store.loras.write_text("a file where the folder should be")
    events: list[Event] = []
    with pytest.raises(ResultNotWritten, match=f"run the same again: it goes on from step {STEPS}"):
        personalize(new_base(), asked, store, events.append)
    assert any("file of step 2 was not written" in event.text for event in events if isinstance(event, Warned))
    store.loras.unlink()
    finished, run = personalize(new_base(), asked, store, events.append)
    assert same_weights(finished.file, whole.file) and not run.state.exists()
    assert [event.step for event in events if isinstance(event, Step)] == list(range(1, STEPS + 1))


def test_two_names_alike_make_two_files(new_base: NewBase, asked: Request, store: Store) -> None:
    first, _ = personalize(new_base(), asked, store)
    second, _ = personalize(new_base(), with_options(asked, seed=1), store)
    assert first.file != second.file and not same_weights(first.file, second.file)
    assert find_finished(asked, first.trained_from, store) is not None


@pytest.mark.parametrize("step", [2, STEPS], ids=["between", "result"])
def test_a_file_that_a_dead_process_did_not_note_is_not_written_again(
    step: int, new_base: NewBase, asked: Request, store: Store
) -> None:
    """It died after the file had its name and before the record knew of it."""
    _, run = personalize(new_base(), with_options(asked, save_every=2), store)
    noted = run.record["files"]
    run.write(status="running", files=[entry for entry in noted if entry["step"] < step])
    files = {file: file.stat().st_mtime_ns for file in store.loras.glob("*.safetensors")}
    finished, again = personalize(new_base(), with_options(asked, save_every=2), store)
    assert {file: file.stat().st_mtime_ns for file in store.loras.glob("*.safetensors")} == files
    assert again.record["files"] == noted and finished.steps == STEPS


def test_a_file_of_another_run_is_not_taken_for_its_own(new_base: NewBase, asked: Request, store: Store) -> None:
    first, run = personalize(new_base(), asked, store)
    run.write(files=[])
    second, _ = personalize(new_base(), with_options(asked, seed=1), store)
    assert second.file != first.file and open_run(run.key, store).file() is None


def test_what_is_not_used_of_the_base_is_told_and_no_copy_of_old_weights_is_saved(
    tiny_base_file: Path, asked: Request, store: Store, tmp_path: Path
) -> None:
    more = {"x.y": torch.ones(2), "model_ema.diffusion_modelout0weight": torch.ones(2)}
    tensors = {**read_tensors(tiny_base_file), **more}
    file = write_tensors(tensors, tmp_path / "base.safetensors", read_metadata(tiny_base_file))
    events: list[Event] = []
    full = with_options(asked, method="full", steps=1)
    result, _ = personalize(load_base(file), full, store, events.append)
    said = [event.text for event in events if isinstance(event, Warned)]
    assert any("x.y" in text and "carried along" in text for text in said)
    assert any("model_ema" in text and "left out" in text for text in said)
    assert read_shapes(result.file).keys() == tensors.keys() - {"model_ema.diffusion_modelout0weight"}
