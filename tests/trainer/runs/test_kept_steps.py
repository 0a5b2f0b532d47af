"""The files of scored steps: those that are needed stay, and of the others a bounded number, spread over the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.runs import kept_steps
from dreambooth_nodes.trainer.runs.kept_steps import MOST, KeptSteps


def kept_of(folder: Path, steps: Sequence[int], size: int = 1) -> KeptSteps:
    """Files of these steps, of so many bytes."""
    kept = KeptSteps(folder, "<{identifier}>")
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for step in steps:
        kept.path(step).write_bytes(b"0" * size)
    return kept


@given(st.sets(st.integers(1, 2000), max_size=40), st.data())
def test_needed_steps_stay_and_the_others_are_bounded(
    tmp_path_factory: pytest.TempPathFactory, steps: set[int], data: st.DataObject
) -> None:
    needed = data.draw(st.sets(st.sampled_from(sorted(steps)))) if steps else set()
    kept = kept_of(tmp_path_factory.getbasetemp() / "kept", sorted(steps))
    kept.bound(needed)
    left = kept.steps()
    assert needed <= set(left) <= steps
    assert len(left) == min(len(steps), max(MOST, len(needed)))
    kept.bound((), 0)
    assert kept.steps() == []


def test_what_is_left_is_spread_over_the_run(tmp_path: Path) -> None:
    kept = kept_of(tmp_path, [])
    for step in range(100, 4001, 100):
        kept.path(step).write_bytes(b"0")
        kept.bound([step])
    left = kept.steps()
    gaps = [after - before for before, after in zip([0, *left], left, strict=False)]
    assert len(left) == MOST and left[-1] == 4000
    assert max(gaps) <= 8 * 100


def test_large_files_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_steps, "MOST_BYTES", 5 * 100)
    kept = kept_of(tmp_path, range(1, 11), size=100)
    kept.bound([1, 2, 3, 4, 5, 6])
    assert kept.steps() == [1, 2, 3, 4, 5, 6]
    kept.bound([10])
    assert len(kept.steps()) == 5


def test_a_run_that_was_never_scored_has_none(tmp_path: Path) -> None:
    kept = KeptSteps(tmp_path / "none", "<{identifier}>")
    kept.bound(())
    assert kept.steps() == [] and kept.file_of(1) is None
