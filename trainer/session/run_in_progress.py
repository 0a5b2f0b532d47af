"""What is saved of a run in progress: files in the middle, the result, and the weights where an error ends it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..distributed.ranks import Ranks
from ..distributed.sharding import gathered
from ..events import PhaseSeconds, Saved, Stop, StoppedEarly, Tell, Warned
from ..memory.levers import Levers
from ..methods.protocol import Method, Trained
from ..model.base import Model
from ..options import TrainOptions
from ..runs.kept_steps import MOST
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run
from ..scores.scorer import Scorer
from ..training.divergence import TrainingDiverged
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .drawing import DrawPictures
from .resume_state import StateKeeper
from .saving import not_written_error, save_chosen, save_steps, write_result
from .scoring import RunScores
from .validation import RunValidation

NONE_CHOSEN = Wording(
    "No step kept prompt following and variety near the base's: the last step is the result. Fewer steps, a lower "
    "learning rate or more prior weight keep them."
)


@dataclass
class RunInProgress:
    """The run of a request on a model, in one of its ranks; only the first one writes files and reports events.

    method: trains the base. draw: draws pictures of it. scorer: measures the scores where the options ask for them.
    draw_untrained: see `personalize`.
    options: those of the memory plan. training and curve are there once the training is set up; scores and validation
    are None where none are made.
    """

    base: Model
    method: Method[Any]
    draw: DrawPictures
    request: Request
    run: Run
    tell: Tell
    stop: Stop
    ranks: Ranks
    scorer: Scorer | None = None
    draw_untrained: DrawPictures | None = None
    training: Training = field(init=False)
    curve: LossCurve = field(init=False)
    scores: RunScores | None = None
    validation: RunValidation | None = None
    ended_early: bool = False

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.phases = PhaseSeconds(self.tell)
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def save_intermediate(self, step: int) -> None:
        """Save the weights after `step` steps as a file to choose from; a file that a resumed run has already is not
        written again, and one that cannot be written is a warning.
        """
        self.ranks.decided(self.curve.flush)
        named = f"{self.request.name}_step{step}"
        if self.ranks.decided(lambda: self.run.file_of(step)) is not None:
            return
        trained = self._gathered()
        if self.ranks.first and (result := self._tried(step, lambda: self._write_file(trained, step, named))):
            self.tell(Saved(result.file, last=False))

    def keep_scored(self, step: int) -> None:
        """Keep the weights after `step` steps in the run's folder, from which the result is chosen; as with
        `save_intermediate`, a file that is there is not written again.
        """
        if self.ranks.decided(self.run.kept.path(step).is_file):
            return
        trained, path = self._gathered(), self.run.kept.path(step)
        if self.ranks.first:
            self._tried(step, lambda: self._write_to(path, trained, step))

    def _tried(self, step: int, write: Callable[[], Personalized]) -> Personalized | None:
        """What `write` has written of a step; None where it could not be, which is a warning."""
        try:
            with self.phases.during("saving"):
                return write()
        except OSError as error:
            lost = Wording("The file of step {0} was not written, and the training goes on: {1}", str(step), str(error))
            self.tell(Warned(lost))
            return None

    def bound_scored(self, needed: Collection[int] = ()) -> None:
        """Delete files of scored steps until those are left that are needed, and a few others to choose from later; of
        whole models none.
        """
        self.run.kept.bound(needed, 0 if self.method.folder == "checkpoints" else MOST)

    def save_result(self, status: str = "") -> Personalized:
        """Save the weights trained so far, and record the end of the run; the state on disk is kept where steps are
        missing. All ranks call it together, unless the first is alone (`Ranks.broken`).

        status: of the run; "" means "finished" or "stopped". Raises StoppedEarly where no step was trained,
        ResultNotWritten.
        """
        if not self.training.done:
            raise StoppedEarly("The run was stopped before its first step; there is nothing to save.")
        finished = self.training.done == self.request.options.steps or self.ended_early
        if not finished and (self.ranks.first or self.ranks.sharded):
            self.state.write(self.training, self.curve.points)
        trained = self._gathered()
        return self.ranks.decided(lambda: self._written(trained, finished, status))

    def _written(self, trained: Trained, finished: bool, status: str) -> Personalized:
        """The saved result, whose end is recorded."""
        done = self.training.done
        try:
            with self.phases.during("saving"):
                result = self._chosen() or self.run.file_of(done) or self._write_file(trained, done, self.request.name)
            ended = status or ("finished" if finished else "stopped")
            self.run.finish(ended, self.curve.points, self.phases.seconds, self.curve.fixed)
        except OSError as error:
            if self.state.steps < done and not self.ranks.sharded:
                self.state.write(self.training, self.curve.points)
            raise not_written_error(error, self.request.name, done, self.state.steps) from error
        if finished:
            self.state.remove()
            self.bound_scored()
        self.tell(Saved(result.file, ended_early=self.ended_early))
        return result

    def _chosen(self) -> Personalized | None:
        """The result that the scores choose, written from its candidate; None where they choose none, or where its file
        could not be written or is gone, which is a warning.
        """
        if self.scores is None or not self.scores.points:
            return None
        self.run.write(choice=self.scores.reason)
        if not self.scores.candidates:
            self.tell(Warned(NONE_CHOSEN))
            return None
        step = self.scores.candidates[0]
        candidate = self.run.file_of(step) or self.run.kept.file_of(step)
        if candidate is None:
            gone = Wording("The file of the chosen step {0} is gone: the last step is the result.", str(step))
            self.tell(Warned(gone))
            return None
        result = save_chosen(candidate, self.method.folder, self.run, self.request.name, self.scores.reason)
        self.run.add_file(result)
        return result

    def save_on_error(self, end: BaseException) -> None:
        """Save the weights before an exception is passed on; raises TrainingDiverged where losses not read yet have
        diverged.

        Where the ranks are apart, the first one saves alone; of a sharded model nothing is saved then but the last
        state on disk.
        """
        self.ranks.note(end)
        if self.ranks.broken and (self.ranks.sharded or not self.ranks.first):
            return
        try:
            self.ranks.decided(self.curve.read)
        except TrainingDiverged as error:
            raise self.save_last_good_state(error) from end
        if self.training.done and self.training.weights_consistent:
            self.save_result()

    def save_last_good_state(self, error: TrainingDiverged) -> TrainingDiverged:
        """Save the weights of the state before the loss diverged, if there is one and it is good; returns the error to
        raise.
        """
        self.ranks.decided(lambda: self.run.fail(str(error), self.curve.points))
        self.state.resume(self.training, self.curve)
        self.resume_scores()
        step = self.training.done
        losses = self.training.losses(step)
        if not self.ranks.decided(lambda: self.run.state.is_file() and self.curve.watch.accepts(losses)):
            self.ranks.decided(self.state.remove)
            return TrainingDiverged(f"{error} Nothing is saved.")
        return TrainingDiverged(
            f"{error} What {step} steps had trained is saved as {self.save_result('failed').file.name}."
        )

    def _gathered(self) -> Trained:
        """The trained weights to use; those of a sharded model are gathered in the first rank."""
        if not self.ranks.sharded:
            return self.training.to_use.copied(lambda: self.method.trained(self.base))
        trained = self.method.trained(self.base)
        return {name: gathered(tensors, self.ranks.first) for name, tensors in trained.items()}

    def _write_file(self, trained: Trained, steps: int, name: str) -> Personalized:
        """Write the file for these steps, and add it to the run's record."""
        options = self._options_in_use()
        result = save_steps(self.base, self.method, self.request, options, self.run, steps, name, trained)
        self.run.add_file(result)
        return result

    def _write_to(self, file: Path, trained: Trained, steps: int) -> Personalized:
        """Write the file for these steps at a path of its own."""
        options = self._options_in_use()
        return write_result(self.base, self.method, self.request, options, self.run, steps, file, trained)

    def _options_in_use(self) -> TrainOptions:
        """The options for a file's metadata: those in use; the run's record and key hold the requested ones."""
        own = self.training.options
        options = replace(self.request.options, batch_size=own.batch_size * self.ranks.count)
        return Levers.of(own).applied_to(replace(options, accumulation=own.accumulation))

    def resume_scores(self) -> None:
        """Go on with the scores, or the validation losses, of the steps that are done."""
        if self.validation is not None:
            self.validation.resume(self.training.done)
            for loss in self.validation.points:
                self.tell(loss)
        if self.scores is not None:
            self.ended_early = self.scores.resume(self.training.done)
            for point in self.scores.points:
                self.tell(point)


def is_due(every: int, done: int) -> bool:
    """Whether a task that is done every so many steps is due; 0 means never."""
    return bool(every) and done % every == 0
