"""One run in progress: its stages, and what is saved of it in the middle, at the end and on an error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..distributed.ranks import Ranks
from ..distributed.sharding import gathered, require_shardable
from ..events import PhaseSeconds, Planned, Saved, Stop, StoppedEarly, Tell, Warned
from ..memory.levers import Levers
from ..memory.plan import Plan, make_plan
from ..methods.protocol import Method, Trained
from ..model.base import Base, Model
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run
from ..training.divergence import DivergenceGuard, TrainingDiverged
from ..training.loop import train
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .drawing import DrawSample
from .resume_state import StateKeeper
from .saving import not_written_error, save_steps
from .setup import build_training, encode_request, own_options


@dataclass
class Session:
    """The run of a request on a model, in one of its ranks; only the first one writes files and reports events.

    method: trains the base. draw_sample: draws the sample images. options: those of the memory plan. training and curve
    are there from `result` on.
    """

    base: Model
    method: Method[Any]
    draw_sample: DrawSample
    request: Request
    run: Run
    tell: Tell
    stop: Stop
    ranks: Ranks
    training: Training = field(init=False)
    curve: LossCurve = field(init=False)

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.phases = PhaseSeconds(self.tell)
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def result(self, resume: bool) -> Personalized:
        """Run all stages; returns the saved result. resume: whether to continue from the run's state on disk."""
        self._plan(resume)
        for text in self._unused():
            self.tell(Warned(text))
        self.method.add_words(self.base, self.options)
        with self.phases.during("encoding"):
            encoded = encode_request(self.base, self.request, self.stop, self.ranks)
        self.method.attach(self.base, self.options)
        self.training = build_training(self.base, self.method, self.options, encoded, self.ranks)
        watch = DivergenceGuard(self.training.scaler.is_enabled())
        self.curve = LossCurve(self.options.steps, self.tell, self.base.device, watch)
        if resume:
            self.state.resume(self.training, self.curve)
        self._train()
        return self._save_result()

    def _unused(self) -> tuple[str, ...]:
        """What of the base and of the LoRA to continue from is not used or only assumed, each one sentence."""
        rest = self.base.unused()
        copies = rest.without_copies if self.method.keeps_base else ()
        return (*rest.warnings, *copies, *self.method.warnings)

    def _plan(self, resume: bool) -> None:
        """Choose the memory levers, or keep those that a resumed run began with, and write the run's record."""
        kept = self.run.record.get("plan") if resume and self.run.state.is_file() else None
        self.options = self.ranks.decided(lambda: self._planned(kept)).applied_to(self.options)

    def _planned(self, kept: dict[str, Any] | None) -> Levers:
        """The levers of the memory plan, which is written into the run's record and reported; a host's model is not
        planned for, because the host manages its memory.
        """
        if self.ranks.sharded:
            require_shardable(replace(self.options, **(kept or {})))
        size, priors = (self.request.subject.width, self.request.subject.height), self.request.priors is not None
        own, ranks = own_options(self.options, self.ranks), (self.ranks.count, self.ranks.sharded)
        plan = Plan(own)
        if isinstance(self.base, Base):
            plan = make_plan(self.base.source, own, size, priors, self.base.device, kept, *ranks)
        record = self.request.record(self.base.fingerprint)
        self.run.write(status="running", **record, plan=plan.levers.changing_weights, planned=plan.text)
        if plan.text:
            self.tell(Planned(plan.text) if plan.fits else Warned(plan.text))
        return plan.levers

    def _train(self) -> None:
        """Train and draw the last sample images; where an exception ends it, save the weights before passing it on."""
        try:
            with self.phases.during("training"):
                train(self.training, self.curve, self.tell, self.stop, self._after_step)
            if self.training.done == self.options.steps:
                self._sample(self.options.steps)
        except TrainingDiverged as error:
            raise self._save_last_good_state(error) from error
        except BaseException as end:
            self._save_on_error(end)
            raise

    def _after_step(self, done: int) -> None:
        """Draw samples, save files and write the state where they are due; the last step's sample and file are made
        elsewhere.
        """
        if done == self.options.steps:
            return
        if _is_due(self.options.sample_every, done):
            self._sample(done)
        if _is_due(self.options.save_every, done):
            self._save_intermediate(done)
        self.state.write_if_due(self.training, self.curve)

    def _sample(self, step: int) -> None:
        """Draw, keep and report the sample images of a step; images that cannot be written are a warning.

        All ranks of a sharded model draw them together.
        """
        if not self.options.sample_count or not (self.ranks.first or self.ranks.sharded):
            return
        with self.phases.during("sampling"):
            sample = self.draw_sample(self.request, step)
        if not self.ranks.first:
            return
        try:
            self.run.samples.keep(sample)
        except OSError as error:
            lost = Wording(
                "The pictures of step {0} were not kept, and the training goes on: {1}", str(step), str(error)
            )
            self.tell(Warned(lost))
        self.tell(sample)

    def _save_intermediate(self, step: int) -> None:
        """Save the weights after `step` steps as a file to choose from; a file that a resumed run has already is not
        written again, and one that cannot be written is a warning.
        """
        self.ranks.decided(self.curve.flush)
        if self.ranks.decided(lambda: self.run.file_of(step)) is not None:
            return
        trained = self._gathered()
        if not self.ranks.first:
            return
        try:
            with self.phases.during("saving"):
                result = self._write_file(trained, step, f"{self.request.name}_step{step}")
        except OSError as error:
            lost = Wording("The file of step {0} was not written, and the training goes on: {1}", str(step), str(error))
            self.tell(Warned(lost))
        else:
            self.tell(Saved(result.file, last=False))

    def _save_result(self, status: str = "") -> Personalized:
        """Save the weights trained so far, and record the end of the run; the state on disk is kept where steps are
        missing. All ranks call it together, unless the first is alone (`Ranks.broken`).

        status: of the run; "" means "finished" or "stopped". Raises StoppedEarly where no step was trained,
        ResultNotWritten.
        """
        if not self.training.done:
            raise StoppedEarly("The run was stopped before its first step; there is nothing to save.")
        finished = self.training.done == self.request.options.steps
        if not finished and (self.ranks.first or self.ranks.sharded):
            self.state.write(self.training, self.curve.points)
        trained = self._gathered()
        return self.ranks.decided(lambda: self._written(trained, finished, status))

    def _written(self, trained: Trained, finished: bool, status: str) -> Personalized:
        """The saved result, whose end is recorded."""
        done = self.training.done
        try:
            with self.phases.during("saving"):
                result = self.run.file_of(done) or self._write_file(trained, done, self.request.name)
            ended = status or ("finished" if finished else "stopped")
            self.run.finish(ended, self.curve.points, self.phases.seconds)
        except OSError as error:
            if self.state.steps < done and not self.ranks.sharded:
                self.state.write(self.training, self.curve.points)
            raise not_written_error(error, self.request.name, done, self.state.steps) from error
        if finished:
            self.state.remove()
        self.tell(Saved(result.file))
        return result

    def _save_on_error(self, end: BaseException) -> None:
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
            raise self._save_last_good_state(error) from end
        if self.training.done and self.training.weights_consistent:
            self._save_result()

    def _save_last_good_state(self, error: TrainingDiverged) -> TrainingDiverged:
        """Save the weights of the state before the loss diverged, if there is one and it is good; returns the error to
        raise.
        """
        self.ranks.decided(lambda: self.run.write(status="failed"))
        self.state.resume(self.training, self.curve)
        step = self.training.done
        losses = self.training.losses(step)
        if not self.ranks.decided(lambda: self.run.state.is_file() and self.curve.watch.accepts(losses)):
            self.ranks.decided(self.state.remove)
            return TrainingDiverged(f"{error} Nothing is saved.")
        return TrainingDiverged(
            f"{error} What {step} steps had trained is saved as {self._save_result('failed').file.name}."
        )

    def _gathered(self) -> Trained:
        """The trained weights; those of a sharded model are gathered in the first rank."""
        trained = self.method.trained(self.base)
        if not self.ranks.sharded:
            return trained
        return {name: gathered(tensors, self.ranks.first) for name, tensors in trained.items()}

    def _write_file(self, trained: Trained, steps: int, name: str) -> Personalized:
        """Write the file for these steps, and add it to the run's record."""
        # The file's metadata hold the options in use; the run's record and key hold the requested ones.
        own = self.training.options
        options = replace(self.request.options, batch_size=own.batch_size * self.ranks.count)
        options = Levers.of(own).applied_to(replace(options, accumulation=own.accumulation))
        result = save_steps(self.base, self.method, self.request, options, self.run, steps, name, trained)
        self.run.add_file(result)
        return result


def _is_due(every: int, done: int) -> bool:
    """Whether a task that is done every so many steps is due; 0 means never."""
    return bool(every) and done % every == 0
