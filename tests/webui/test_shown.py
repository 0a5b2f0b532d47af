"""What the tab says of a training, from what is known of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dreambooth_nodes.a1111.asked import Asked
from dreambooth_nodes.a1111.job import Job
from dreambooth_nodes.a1111.kept_jobs import keep, unfinished
from dreambooth_nodes.a1111.option_labels import label, labelled
from dreambooth_nodes.a1111.shown import status_html
from dreambooth_nodes.trainer.options import SETTINGS, TEXTS


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Job:
    """A training that runs; its base lies where a WebUI has them that says nothing."""
    monkeypatch.chdir(tmp_path)
    (folder := tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    (folder / "base.safetensors").touch()
    return Job(Asked(photos=tmp_path, class_noun="dog", identifier="olt", base="base.safetensors"), status="running")


@pytest.mark.parametrize(("done", "width"), [(0, "0.0%"), (1, "2.5%"), (40, "100.0%")])
def test_the_bar_is_as_long_as_what_is_done(job: Job, done: int, width: str) -> None:
    job.doing, job.done, job.total = "class images", done, 40
    html = status_html(job)
    assert f'aria-valuenow="{done}"' in html and f"{done} of 40" in html
    assert re.search(r"height:100%;width:([\d.]+%)", html).group(1) == width  # type: ignore[union-attr]


def test_a_stop_is_seen_before_it_is_heard(job: Job) -> None:
    job.doing, job.total = "class images", 40
    assert "<b>Running</b>: class images" in status_html(job)
    job.stop()
    assert "<b>Stopping</b>: class images" in status_html(job)
    job.doing, job.status = "", "stopped"
    assert "Stopped before the first step; nothing is saved" in status_html(job)
    assert 'role="progressbar"' not in status_html(job)


@pytest.mark.parametrize("status", ["waiting", "stopped", "failed"])
def test_after_a_restart_what_can_be_resumed_is_named(job: Job, status: str) -> None:
    keep(job.asked, "task(1)", "finished")
    assert "No training yet" in status_html(None, unfinished())
    keep(job.asked, "task(2)", status)
    said = status_html(None, unfinished())
    assert "<b>my_subject</b> (dog), did not come to its end: <b>Resume the last</b>" in said


def test_labels_are_words_and_a_text_speaks_of_settings_by_them() -> None:
    labels = [label(name) for name in SETTINGS]
    assert len(set(labels)) == len(labels) and not any("_" in one for one in labels)
    assert label("snr_gamma") == "Min-SNR gamma" and label("ema_decay") == "EMA decay"
    assert labelled(TEXTS["keep_tags"]).startswith("Tags at a caption's start that “Shuffle tags” leaves")
    words = {word.strip(":;,.") for name in SETTINGS for word in labelled(TEXTS[name]).split()}
    assert not words & {name for name in SETTINGS if "_" in name}
