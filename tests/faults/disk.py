"""What a run has left on disk, held against the run that never stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...trainer.files.safetensors import read_metadata, read_tensors
from ...trainer.runs.personalized import read_personalized
from ...trainer.runs.record import read_record
from ...trainer.runs.store import LOCK, Store
from ...trainer.session.resume_state import KEY

LISTED = {".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".pkl"}
"""What hosts list as a model, hidden or not."""


@dataclass(frozen=True)
class Reference:
    """A run that never stopped. tensors: {steps: of the file that they trained}."""

    key: str
    losses: list[list[Any]]
    tensors: dict[int, dict[str, Tensor]]

    def faults_of(self, file: Path) -> list[str]:
        """What of a file in a host's folder is not as it should be."""
        try:
            found, said = read_tensors(file), read_personalized(file)
        except ValueError as error:
            return [f"{file.name} is listed and not whole: {error}"]
        wanted = self.tensors.get(said.steps)
        if wanted is None:
            return [f"{file.name} is of {said.steps} steps"]
        same = found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
        return [] if same else [f"{file.name} has other weights than the run that never stopped"]


def reference(key: str, store: Store, losses: list[list[Any]]) -> Reference:
    """What the run in `store` has made."""
    files = {read_personalized(file).steps: read_tensors(file) for file in store.loras.glob("*.safetensors")}
    return Reference(key, losses, files)


def after_death(store: Store, against: Reference) -> list[str]:
    """What is wrong on disk where a process has died."""
    return [*_of_hosts(store, against), *_of_state(store, against), *_of_record(store), *_of_pictures(store)]


def listed(folder: Path) -> list[Path]:
    """What a host shows of a folder of results."""
    return [file for file in everything(folder) if file.suffix in LISTED]


def _of_hosts(store: Store, against: Reference) -> Iterator[str]:
    for file in everything(store.loras):
        if file.suffix in LISTED:
            yield from against.faults_of(file)
        elif file.name != LOCK and not (file.name.startswith(".") and file.name.endswith(".part")):
            yield f"{file.name} is in a host's folder"


def _of_state(store: Store, against: Reference) -> Iterator[str]:
    for file in store.work.glob("runs/*/state.safetensors"):
        try:
            if read_metadata(file).get(KEY) != against.key:
                yield "the state is of another run"
            done = read_tensors(file)["losses"][:, [0, 2]].tolist()
        except (ValueError, KeyError) as error:
            yield f"the state is not whole: {error}"
            continue
        if done != [point[:2] for point in against.losses[: len(done)]]:
            yield "the state holds other losses than the run that never stopped"


def _of_record(store: Store) -> Iterator[str]:
    for file in store.work.glob("runs/*/run.json"):
        try:
            read_record(file)
        except ValueError as error:
            yield f"the record is not whole: {error}"


def _of_pictures(store: Store) -> Iterator[str]:
    for file in [*store.work.glob("runs/*/samples/step_*.png"), *store.work.glob("priors/*/?????.png")]:
        try:
            with Image.open(file) as picture:
                picture.load()
        except (OSError, SyntaxError) as error:
            yield f"the picture {file.name} is not whole: {error}"


def at_the_end(store: Store, against: Reference, answer: dict[str, Any], before: dict[Path, str]) -> list[str]:
    """What is wrong where the same run has gone on to its end. before: contents of the host's files at the death."""
    faults = list(_of_hosts(store, against))
    if answer["status"] != "finished" or answer["losses"] != against.losses:
        faults.append(f"it ended {answer['status']} with {len(answer['losses'])} losses, or with other ones")
    if not Path(answer["file"]).name.startswith("dog_0") or against.faults_of(Path(answer["file"])):
        faults.append(f"the result is {answer['file']}")
    after = contents(store)
    faults += [f"{file.name} was overwritten" for file, digest in before.items() if after.get(file) != digest]
    faults += [f"{file.name} is left" for file in everything(store.work.parent) if file.suffix == ".part"]
    return faults + ["the state is left" for _ in store.work.glob("runs/*/state.safetensors")]


def written_again(store: Store) -> list[str]:
    """Files of one run in `store` that hold what another holds already."""
    steps = [read_personalized(file).steps for file in listed(store.loras)]
    return [f"{steps.count(step)} files are of {step} steps" for step in sorted(set(steps)) if steps.count(step) > 1]


def contents(store: Store) -> dict[Path, str]:
    """Digest of every file that hosts list."""
    files = listed(store.loras)
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def left_over(store: Store) -> int:
    """Bytes in temporary files."""
    return sum(file.stat().st_size for file in everything(store.work.parent) if file.suffix == ".part")


def everything(folder: Path) -> list[Path]:
    """Every file under a folder, hidden ones too."""
    return sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
