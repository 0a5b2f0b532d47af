"""What a run leaves in the host's folders: files to choose from on the way, and a result, however it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..events import PhaseSeconds, Saved, StoppedEarly, Tell, Warned
from ..memory.plan import levers_of
from ..methods.registry import Method
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run
from ..training.divergence import TrainingDiverged
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .saving import not_written, save_steps
from .state_keeper import StateKeeper


@dataclass
class Outcome:
    """Of `training`, whose losses are in `curve` and whose state is kept by `state`."""

    method: Method
    request: Request
    run: Run
    training: Training
    curve: LossCurve
    state: StateKeeper
    phases: PhaseSeconds
    tell: Tell

    def to_choose_from(self, step: int) -> None:
        """A file on the way; the same one is not written again where a run goes on from before it."""
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
        """What was trained until now; the state stays where steps are missing.

        Raises StoppedEarly where no step was trained, ResultNotWritten.
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

    def what_there_is(self, end: BaseException) -> None:
        """Save before an exception goes on. Losses that were not read yet may show that the run has diverged.

        Where other processes hold parts of the model and cannot give them, the last state on disk is what there is.
        """
        try:
            self.curve.read()
        except TrainingDiverged as error:
            raise self.last_good(error) from end
        if self.curve.points and not self.training.processes.broken:
            self.result()

    def last_good(self, error: TrainingDiverged) -> TrainingDiverged:
        """Save the state from before the loss diverged, if there is one and it is good; the error to raise."""
        self.run.write(status="failed")
        self.state.resume(self.training, self.curve)
        step = len(self.curve.points)
        if not self.run.state.is_file() or not self.curve.watch.allows(self.training.next_losses(step)):
            self.state.remove()
            return TrainingDiverged(f"{error} Nothing is saved.")
        return TrainingDiverged(f"{error} What {step} steps had trained is saved as {self.result('failed').file.name}.")

    def _write_file(self, steps: int, name: str) -> Personalized:
        # The file says what it was trained with, where the run's record and key say what was asked.
        own = self.training.options
        batch_size = own.batch_size * self.training.processes.count
        options = replace(self.request.options, **levers_of(own), batch_size=batch_size, accumulation=own.accumulation)
        result = save_steps(self.training.base, self.method, self.request, options, self.run, steps, name)
        self.run.add_file(result)
        return result
