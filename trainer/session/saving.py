"""What a run has trained, written where the host looks for it, and looked at again."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch

from ..export.checked_file import require_same, write_checked
from ..export.convert import write_lora
from ..export.metadata import RUN, layout_metadata, run_metadata
from ..export.original import original_tensors
from ..export.run_info import Said
from ..files.safetensors import CheckpointError, numbered_files, read_metadata
from ..methods.registry import Lora, Method
from ..model.base import Base
from ..model.base_sample import FIELD, base_sample
from ..model.layers import layers_of
from ..options import TrainOptions
from ..runs.personalized import Personalized, read_personalized
from ..runs.request import Request
from ..runs.run import Run

log = logging.getLogger(__name__)


class ResultNotWritten(OSError):
    """What was trained could not be written; the message says how the same run goes on."""


def not_written(error: OSError, name: str, done: int, kept: int) -> ResultNotWritten:
    """The error to raise when `done` steps cannot be written, and the state on disk is of `kept` steps; 0: none."""
    way = f"it goes on from step {kept}" if kept else "there is no state to go on from, so it begins anew"
    return ResultNotWritten(
        f"What {done} steps have trained of {name!r} could not be written ({error}). Make room, or make the folder "
        f"writable, and run the same again: {way}."
    )


def save_steps(
    base: Base, method: Method, request: Request, options: TrainOptions, run: Run, steps: int, name: str
) -> Personalized:
    """What `steps` steps have trained, as a file of this name in the host's folder. options: as it was trained."""
    with run.store.new_file(options.method, name) as file:
        if (left := _left_by_a_death(file.parent, name, run, steps)) is not None:
            return left
        result = Personalized(
            file=file,
            method=options.method,
            identifier=request.identifier,
            class_noun=request.subject.class_noun,
            trained_from=base.fingerprint,
            steps=steps,
            seed=options.seed,
        )
        _write(base, method, result, _said(request, options, run, steps), run)
    return result


def _left_by_a_death(folder: Path, name: str, run: Run, steps: int) -> Personalized | None:
    """The file of this run and step that a process wrote before it died, and did not live to note in the record."""
    for file in numbered_files(folder, name).values():
        try:
            if read_metadata(file).get(RUN) == run.key and (found := read_personalized(file)).steps == steps:
                return found
        except CheckpointError as error:
            log.warning("%s", error)
    return None


def _said(request: Request, options: TrainOptions, run: Run, steps: int) -> Said:
    return Said(
        name=request.name,
        identifier=request.identifier,
        subject=request.subject,
        options=options,
        steps=steps,
        priors=0 if request.priors is None else request.priors.count,
        base_file=request.base_file,
        thumbnail=run.samples.newest(),
    )


def _write(base: Base, method: Method, result: Personalized, said: Said, run: Run) -> None:
    """Write `result.file`: a LoRA under kohya's names, or the whole checkpoint. Raises CheckpointError if it is bad."""
    named = {"modelspec.architecture": base.architecture, RUN: run.key}
    sample = {FIELD: json.dumps(base_sample(base.source))}
    metadata = {**run_metadata(said, base), **result.metadata(), **named, **sample}
    run.store.keep_shapes(base.source, base.fingerprint)
    if isinstance(method, Lora):
        write_lora(method.weights(base), layers_of(base), "kohya", result.file, metadata, torch.float16)
        return
    run.store.keep_base(base.source, base.fingerprint)
    marks = base.marks(base.source, base.prediction)
    shapes = {**base.source.shapes, **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
    metadata |= layout_metadata(type(base), "checkpoint", None, base.architecture)
    write_checked(
        original_tensors(base, method.trained(base)).beside(marks),
        result.file,
        metadata,
        lambda found, name: require_same(found, name, shapes),
    )
