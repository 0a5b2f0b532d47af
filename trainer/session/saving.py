"""Saving of trained weights as files in the host's folders, with verification."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..events import PhaseSeconds, Saved, StoppedEarly, Tell, Warned
from ..export.checked_file import require_same, write_checked
from ..export.convert import write_lora
from ..export.metadata import RUN, layout_metadata, run_metadata
from ..export.original import original_tensors
from ..export.run_info import RunInfo
from ..files.atomic import numbered_files
from ..files.safetensors import CheckpointError, read_metadata
from ..memory.levers import levers_of
from ..methods.registry import Lora, Method
from ..model.base import Base
from ..model.fingerprint import FIELD, weight_sample
from ..model.layers import layers_of
from ..options import TrainOptions
from ..runs.personalized import Personalized, read_personalized
from ..runs.request import Request
from ..runs.run import Run
from ..training.divergence import TrainingDiverged
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .resume_state import StateKeeper

log = logging.getLogger(__name__)


class ResultNotWritten(OSError):
    """The trained weights could not be written; the message says how to continue the run."""


def not_written(error: OSError, name: str, done: int, kept: int) -> ResultNotWritten:
    """The error to raise when the weights after `done` steps cannot be written. kept: steps in the state on disk; 0:
    none.
    """
    way = f"it goes on from step {kept}" if kept else "there is no state to go on from, so it begins anew"
    return ResultNotWritten(
        f"What {done} steps have trained of {name!r} could not be written ({error}). Make room, or make the folder "
        f"writable, and run the same again: {way}."
    )


def save_steps(
    base: Base, method: Method, request: Request, options: TrainOptions, run: Run, steps: int, name: str
) -> Personalized:
    """Write the weights after `steps` steps as a file of this name in the host's folder; returns the result.

    options: those that it was trained with. A file that an earlier process wrote before it died is returned instead.
    """
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
    """The file for this run and step that a process wrote and then died before adding it to the record; None without
    one.
    """
    for file in numbered_files(folder, name).values():
        try:
            if read_metadata(file).get(RUN) == run.key and (found := read_personalized(file)).steps == steps:
                return found
        except CheckpointError as error:
            log.warning("%s", error)
    return None


def _said(request: Request, options: TrainOptions, run: Run, steps: int) -> RunInfo:
    """The facts of the run for the file's metadata. Its picture is the newest sample, else the first photo."""
    newest = run.samples.newest()
    return RunInfo(
        name=request.name,
        identifier=request.identifier,
        subject=request.subject,
        options=options,
        steps=steps,
        priors=0 if request.priors is None else request.priors.count,
        base_file=request.base_file,
        thumbnail=request.subject.photos[0].pixels if newest is None else newest,
    )


def _write(base: Base, method: Method, result: Personalized, said: RunInfo, run: Run) -> None:
    """Write `result.file`: a LoRA in kohya's layout, or the whole checkpoint. Keeps what later conversions need of the
    base.

    Raises CheckpointError if the written file is bad.
    """
    named = {"modelspec.architecture": base.architecture, RUN: run.key}
    sample = {FIELD: json.dumps(weight_sample(base.source))}
    metadata = {**run_metadata(said, base), **result.metadata(), **named, **sample}
    run.store.keep_shapes(base.source, base.fingerprint)
    if isinstance(method, Lora):
        write_lora(method.weights(base), layers_of(base), "kohya", result.file, metadata, torch.float16)
        return
    run.store.keep_base(base.source, base.fingerprint)
    marks = base.marker_tensors(base.source, base.prediction)
    shapes = {**base.source.shapes, **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
    metadata |= layout_metadata(type(base), "checkpoint", None, base.architecture)
    write_checked(
        original_tensors(base, method.trained(base)).beside(marks),
        result.file,
        metadata,
        lambda found, name: require_same(found, name, shapes),
    )


@dataclass
class Outcome:
    """The saving of a training's weights in the middle and at the end. curve: the training's losses. state: its state
    on disk.
    """

    method: Method
    request: Request
    run: Run
    training: Training
    curve: LossCurve
    state: StateKeeper
    phases: PhaseSeconds
    tell: Tell

    def save_intermediate(self, step: int) -> None:
        """Save the weights after `step` steps as a file to choose from; a file that a resumed run has already is not
        written again, and one that cannot be written is a warning.
        """
        self.curve.flush()
        if self.run.file_of(step) is None:
            try:
                with self.phases.during("saving"):
                    result = self._write_file(step, f"{self.request.name}_step{step}")
            except OSError as error:
                lost = Wording(
                    "The file of step {0} was not written, and the training goes on: {1}", str(step), str(error)
                )
                self.tell(Warned(lost))
            else:
                self.tell(Saved(result.file, last=False))

    def result(self, status: str = "") -> Personalized:
        """Save the weights trained so far, and record the end of the run; the state on disk is kept where steps are
        missing.

        status: of the run; "" means "finished" or "stopped". Raises StoppedEarly where no step was trained,
        ResultNotWritten.
        """
        done = len(self.curve.points)
        if not done:
            raise StoppedEarly("The run was stopped before its first step; there is nothing to save.")
        finished = done == self.request.options.steps
        if not finished:
            self.state.write(self.training, self.curve.points)
        try:
            with self.phases.during("saving"):
                result = self.run.file_of(done) or self._write_file(done, self.request.name)
            ended = status or ("finished" if finished else "stopped")
            self.run.finish(ended, self.curve.points, self.phases.seconds)
        except OSError as error:
            if self.state.steps < done:
                self.state.write(self.training, self.curve.points)
            raise not_written(error, self.request.name, done, self.state.steps) from error
        if finished:
            self.state.remove()
        self.tell(Saved(result.file))
        return result

    def save_on_error(self, end: BaseException) -> None:
        """Save the weights before an exception is passed on; raises TrainingDiverged where losses not read yet have
        diverged.

        Where other processes hold shards of the model and cannot send them, nothing is saved but the last state on
        disk.
        """
        try:
            self.curve.read()
        except TrainingDiverged as error:
            raise self.save_last_good_state(error) from end
        if self.curve.points and not self.training.processes.broken:
            self.result()

    def save_last_good_state(self, error: TrainingDiverged) -> TrainingDiverged:
        """Save the weights of the state before the loss diverged, if there is one and it is good; returns the error to
        raise.
        """
        self.run.write(status="failed")
        self.state.resume(self.training, self.curve)
        step = len(self.curve.points)
        if not self.run.state.is_file() or not self.curve.watch.accepts(self.training.next_losses(step)):
            self.state.remove()
            return TrainingDiverged(f"{error} Nothing is saved.")
        return TrainingDiverged(f"{error} What {step} steps had trained is saved as {self.result('failed').file.name}.")

    def _write_file(self, steps: int, name: str) -> Personalized:
        """Write the file for these steps, and add it to the run's record."""
        # The file's metadata hold the options in use; the run's record and key hold the requested ones.
        own = self.training.options
        batch_size = own.batch_size * self.training.processes.count
        options = replace(self.request.options, **levers_of(own), batch_size=batch_size, accumulation=own.accumulation)
        result = save_steps(self.training.base, self.method, self.request, options, self.run, steps, name)
        self.run.add_file(result)
        return result
