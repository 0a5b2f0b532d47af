"""Saving of trained weights as files in the host's folders, with verification."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..export.metadata import CHOICE, RUN, layout_metadata, run_metadata
from ..export.run_info import RunInfo
from ..files.atomic import numbered_files
from ..files.checked_file import require_same, write_checked
from ..files.hashes import file_sha256
from ..files.safetensors import CheckpointError, Shapes, read_metadata, read_shapes
from ..methods.protocol import Folder, Method, ModelFile, Trained
from ..model.base import Base, Model
from ..model.fingerprint import FIELD
from ..model.source import CheckpointFile, lazy_tensors_of
from ..options import TrainOptions
from ..runs.personalized import Personalized, read_personalized, word_name
from ..runs.request import Request
from ..runs.run import Run

log = logging.getLogger(__name__)


class ResultNotWritten(OSError):
    """The trained weights could not be written; the message says how to continue the run."""


def not_written_error(error: OSError, name: str, done: int, kept: int) -> ResultNotWritten:
    """The error to raise when the weights after `done` steps cannot be written. kept: steps in the state on disk; 0:
    none.
    """
    way = f"it goes on from step {kept}" if kept else "there is no state to go on from, so it begins anew"
    return ResultNotWritten(
        f"What {done} steps have trained of {name!r} could not be written ({error}). Make room, or make the folder "
        f"writable, and run the same again: {way}."
    )


def save_steps(
    base: Model,
    method: Method[Any],
    request: Request,
    options: TrainOptions,
    run: Run,
    steps: int,
    name: str,
    trained: Trained | None = None,
) -> Personalized:
    """Write the weights after `steps` steps as a file of this name in the host's folder; returns the result.

    options: those that it was trained with. trained: the weights, where they were gathered already. A file that an
    earlier process wrote before it died is returned instead.
    """
    name = word_name(name) if method.folder == "embeddings" else name
    with run.store.new_file(method.folder, name) as file:
        if (left := _left_by_a_death(file.parent, name, run, steps)) is not None:
            return left
        return write_result(base, method, request, options, run, steps, file, trained)


def write_result(
    base: Model,
    method: Method[Any],
    request: Request,
    options: TrainOptions,
    run: Run,
    steps: int,
    file: Path,
    trained: Trained | None = None,
) -> Personalized:
    """Write the weights after `steps` steps as this file; all else as in `save_steps`."""
    result = Personalized(
        file=file,
        method=method.name,
        identifier=request.identifier,
        class_noun=request.subject.class_noun,
        trained_from=base.fingerprint,
        steps=steps,
        seed=options.seed,
        word=run.store.word,
        others=request.triggers[1:],
    )
    info = _run_info(request, options, run, result)
    _write(base, method, trained or method.trained(base), result, info, run)
    return result


def save_chosen(candidate: Personalized, folder: Folder, run: Run, name: str, choice: str) -> Personalized:
    """Write a candidate's weights as a result of this name, which says in its metadata why its step was chosen.
    folder: of the method's results.
    """
    name = word_name(name) if folder == "embeddings" else name
    with run.store.new_file(folder, name) as file:
        if (left := _left_by_a_death(file.parent, name, run, candidate.steps, choice)) is not None:
            return left
        result, shapes = replace(candidate, file=file), read_shapes(candidate.file)
        # Some hosts call a learned word by its file's name.
        said = read_metadata(candidate.file).items()
        metadata = {field: text.replace(candidate.trigger, result.trigger) for field, text in said}
        tensors = lazy_tensors_of(CheckpointFile(candidate.file))
        write_checked(tensors, file, {**metadata, CHOICE: choice}, partial(_require_shapes, shapes))
        return result


def _require_shapes(wanted: Shapes, found: Shapes, name: str) -> None:
    """Raises CheckpointError unless a file has the wanted tensors."""
    require_same(found, name, wanted)


def _left_by_a_death(folder: Path, name: str, run: Run, steps: int, choice: str = "") -> Personalized | None:
    """The file for this run and step that a process wrote and then died before adding it to the record; None without
    one. choice: why the step was chosen, where it was.
    """
    for file in numbered_files(folder, name).values():
        try:
            said = read_metadata(file)
            same = said.get(RUN) == run.key and said.get(CHOICE, "") == choice
            if same and (found := read_personalized(file, run.store.word)).steps == steps:
                return found
        except CheckpointError as error:
            log.warning("%s", error)
    return None


def _run_info(request: Request, options: TrainOptions, run: Run, result: Personalized) -> RunInfo:
    """The facts of the run for the file's metadata; hashes the base's file where its hash is not known yet.

    The thumbnail is the newest readable sample, else the first photo.
    """
    newest = run.samples.newest()
    file = request.base_file
    known = file is not None and file.is_file()
    return RunInfo(
        name=request.name,
        identifier=request.identifier,
        subject=request.subject,
        options=options,
        steps=result.steps,
        said_as=result.trigger,
        priors=0 if request.class_images is None else request.class_images.total,
        base_file=file,
        base_sha256=run.store.hashes.of(file, "sha256", partial(file_sha256, file)) if file and known else "",
        thumbnail=request.subject.photos[0].pixels if newest is None else newest,
    )


def _write(base: Model, method: Method[Any], trained: Trained, result: Personalized, info: RunInfo, run: Run) -> None:
    """Write `result.file`, and keep what later conversions need of the base. Raises CheckpointError if the written file
    is bad.
    """
    contents = method.file(base, trained)
    if isinstance(base, Base):
        run.store.keep_shapes(base.source, base.fingerprint)
        if method.keeps_base:
            run.store.keep_base(base.source, base.fingerprint)
    metadata = {
        **run_metadata(info, base),
        **result.metadata(),
        RUN: run.key,
        FIELD: json.dumps(base.weight_sample()),
        **_layout_metadata(base, contents),
        **contents.metadata,
    }
    write_checked(contents.tensors, result.file, metadata, contents.check)


def _layout_metadata(base: Model, contents: ModelFile) -> dict[str, str]:
    """The metadata that depend on a family's layout; none for a layout of the method's own."""
    if not isinstance(base, Base) or contents.layout == "comfyui":
        return {}
    return layout_metadata(type(base), contents.layout, base.architecture)
