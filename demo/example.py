"""The example graph, its base model and its subjects, ready to be queued in a ComfyUI."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..trainer.operating_system import link_or_copy
from .comfyui import ComfyUI, ComfyUIError
from .environment import ROOT
from .workflow import Prompt, change, find, load_prompt

WORKFLOWS = ROOT / "example_workflows"
WORKFLOW = WORKFLOWS / "1 Quick start.json"
BASE_NAME = "dreambooth-nodes-toybase.safetensors"
SUBJECTS = ROOT / "toybase" / "subjects"
CACHE = ROOT / ".cache"
TRAIN, PHOTOS, PRIORS = "DreamBoothTrain", "LoadInstanceImages", "GenerateClassPriors"
SAMPLERS = ("Personalized", "Base, same seed")
PROMPT, BASE_PROMPT = "Prompt", "Base prompt"


@dataclass(frozen=True)
class ExampleSubject:
    """One of the embedded base's subjects. `places`: the keys of the places that its photos show."""

    name: str
    class_noun: str
    places: frozenset[str]

    @property
    def folder(self) -> str:
        """What LoadInstanceImages calls it."""
        return f"example: {self.name}"


def example_subjects() -> dict[str, ExampleSubject]:
    """Every subject that the pack ships, by name."""
    described = json.loads((SUBJECTS / "subjects.json").read_text(encoding="utf-8"))
    return {
        name: ExampleSubject(name, entry["class_noun"], frozenset(entry["places"])) for name, entry in described.items()
    }


def cached_toybase() -> Path:
    """The embedded base as a checkpoint in `.cache`, written anew when what it is made from changed."""
    from ..toybase.writer import write_checkpoint

    digest = hashlib.sha256()
    for file in sorted((ROOT / "toybase").rglob("*")):
        if file.suffix in (".py", ".safetensors"):
            digest.update(file.read_bytes())
    written = CACHE / f"toybase-{digest.hexdigest()[:12]}.safetensors"
    if not written.is_file():
        CACHE.mkdir(exist_ok=True)
        for outdated in CACHE.glob("toybase-*.safetensors"):
            outdated.unlink()
        write_checkpoint(written)
    return written


def install_base(comfyui: ComfyUI) -> None:
    """Put the embedded base among the checkpoints of a ComfyUI, without a second copy where links are allowed."""
    target = comfyui.base_directory / "models" / "checkpoints" / BASE_NAME
    source = cached_toybase()
    target.unlink(missing_ok=True)
    link_or_copy(source, target)


def workflow_files() -> list[Path]:
    """Every workflow of the template browser."""
    return sorted(WORKFLOWS.glob("*.json"))


def toybase_workflow_files() -> list[Path]:
    """Those of them that run on the embedded base; the others want weights of the user's own."""
    return [file for file in workflow_files() if '"LoadToyBase"' in file.read_text(encoding="utf-8")]


def example_prompt(comfyui: ComfyUI) -> Prompt:
    """The file that users open from the template browser, as the server takes it."""
    return load_prompt(WORKFLOW, comfyui.object_info())


def chosen_subject(prompt: Prompt) -> ExampleSubject:
    """The example subject that the graph trains on."""
    folder = prompt[find(prompt, PHOTOS)]["inputs"]["folder"]
    return next(subject for subject in example_subjects().values() if subject.folder == folder)


def with_subject(prompt: Prompt, name: str) -> Prompt:
    """The graph for another example subject. Raises ValueError naming the subjects that there are."""
    subjects = example_subjects()
    if name not in subjects:
        raise ValueError(f"there is no example subject {name!r}: choose one of {', '.join(subjects)}")
    subject = subjects[name]
    return change(prompt, PHOTOS, folder=subject.folder, class_noun=subject.class_noun)


def with_texts(prompt: Prompt, class_noun: str, place: str) -> Prompt:
    """The graph with both sentences about another place: "a [subject] on the moon", "a dog on the moon"."""
    article = "an" if class_noun[0] in "aeiou" else "a"
    changed = change(prompt, PROMPT, string=f"a [subject] {place}")
    return change(changed, BASE_PROMPT, string=f"{article} [subject] {place}")


def newest_run(comfyui: ComfyUI) -> dict[str, Any]:
    """The record of the run that was written last. Raises ComfyUIError where nothing was trained."""
    records = list((comfyui.output_directory / "dreambooth" / "runs").glob("*/run.json"))
    if not records:
        raise ComfyUIError("DreamBoothTrain left no run.json")
    newest = max(records, key=lambda record: record.stat().st_mtime_ns)
    return dict(json.loads(newest.read_text(encoding="utf-8")))
