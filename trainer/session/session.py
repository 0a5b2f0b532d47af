"""One run in progress: its stages, and what is saved of it in the middle, at the end and on an error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..distributed.ranks import Ranks
from ..distributed.sharding import gathered, require_shardable
from ..events import PhaseSeconds, Planned, Sample, Saved, Stop, StoppedEarly, Tell, Warned
from ..memory.levers import Levers
from ..memory.plan import Plan, make_plan
from ..methods.protocol import Method, Trained
from ..model.base import Base, Model
from ..model.noise_process import with_density
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run
from ..runs.versions import versions
from ..scores.scorer import Scorer
from ..subject.photo_report import fault_counts
from ..training.divergence import DivergenceGuard, TrainingDiverged
from ..training.loop import train
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .drawing import DrawPictures, sample_prompt
from .resume_state import StateKeeper
from .saving import not_written_error, save_chosen, save_steps
from .scoring import RunScores
from .setup import build_training, encode_request, own_options

NO_SCORER = Wording(
    "Scores were asked for, and nothing here can look at pictures: the last step is the result. Connect a CLIP Vision "
    "model, or name a DINO or CLIP folder."
)
NONE_CHOSEN = Wording(
    "No step kept prompt following and variety near the base's: the last step is the result. Fewer steps, a lower "
    "learning rate or more prior weight keep them."
)


@dataclass
class Session:
    """The run of a request on a model, in one of its ranks; only the first one writes files and reports events.

    method: trains the base. draw: draws pictures of it. scorer: measures the scores where the options ask for them.
    options: those of the memory plan. training, curve and scores are there from `result` on; scores are None where none
    are made.
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
    training: Training = field(init=False)
    curve: LossCurve = field(init=False)
    scores: RunScores | None = None
    ended_early: bool = False

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.phases = PhaseSeconds(self.tell)
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def result(self, resume: bool) -> Personalized:
        """Run all stages; returns the saved result. resume: whether to continue from the run's state on disk."""
        # Refused before anything is encoded.
        with_density(self.base.noise_process, self.options.timestep_density)
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
        self._begin_scores()
        if resume:
            self.state.resume(self.training, self.curve)
            self.curve.fixed = [tuple(point) for point in self.run.record.get("fixed_losses", [])]
        self._resume_scores()
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
        size, priors = self.request.subject.largest_size, self.request.priors is not None
        own, ranks = own_options(self.options, self.ranks), (self.ranks.count, self.ranks.sharded)
        plan = Plan(own)
        if isinstance(self.base, Base):
            plan = make_plan(self.base.source, own, size, priors, self.base.device, kept, *ranks)
        record = {**self.request.record(self.base.fingerprint), **self._circumstances()}
        self.run.write(status="running", **record, plan=plan.levers.changing_weights, planned=plan.text, error="")
        if plan.text:
            self.tell(Planned(plan.text) if plan.fits else Warned(plan.text))
        return plan.levers

    def _circumstances(self) -> dict[str, Any]:
        """What the run's explanation needs to know beside the request, ready for JSON."""
        base, device = self.base, self.base.device
        native = type(base).stated_resolution(base.source, base.prediction) if isinstance(base, Base) else None
        return {
            "native_resolution": native,
            "photo_faults": fault_counts(self.request.subject.photos),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "versions": versions(),
        }

    def _train(self) -> None:
        """Train and draw the last sample images; where an exception ends it, save the weights before passing it on."""
        try:
            with self.phases.during("training"):
                train(self.training, self.curve, self.tell, self._stops, self._after_step)
            if self.training.done == self.options.steps:
                self._sample(self.options.steps)
                self._score(self.options.steps)
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
        if _is_due(self.options.score_every, done):
            self._score(done)
        self.state.write_if_due(self.training, self.curve)

    def _stops(self) -> bool:
        """Whether the user or the scores end the run."""
        return self.stop() or self.ended_early

    def _begin_scores(self) -> None:
        """Score the base before anything is trained or restored; a warning where nothing can look at pictures."""
        if not self.options.score_every:
            return
        if self.scorer is None:
            self.tell(Warned(NO_SCORER))
            return
        self.scores = RunScores(self.scorer, self.request, self.run, self.draw, self.phases, self.ranks)
        self.scores.begin(self.method.untrained(self.base))

    def _resume_scores(self) -> None:
        """Go on with the scores of the steps that are done."""
        if self.scores is not None:
            self.ended_early = self.scores.resume(self.training.done)
            for point in self.scores.points:
                self.tell(point)

    def _score(self, step: int) -> None:
        """Score the model after `step` steps; where its step may be the result, its weights are kept as a file.

        The state is written before files of other candidates are deleted, so that those of the state on disk are there.
        """
        if self.scores is None:
            return
        self.ranks.decided(self.curve.flush)
        verdict = self.scores.measure(step)
        self.tell(verdict.point)
        self.ended_early = verdict.ends
        if verdict.kept:
            self._save_intermediate(step)
        if self.ranks.first or self.ranks.sharded:
            self.state.write(self.training, self.curve.points)
        self.ranks.decided(self._drop_candidates)

    def _drop_candidates(self) -> None:
        """Delete the files of steps that can no longer be chosen."""
        assert self.scores is not None
        self.run.drop_candidates(self.scores.candidates)

    def _sample(self, step: int) -> None:
        """Draw, keep and report the sample images of a step; images that cannot be written are a warning.

        All ranks of a sharded model draw them together.
        """
        if not self.options.sample_count or not (self.ranks.first or self.ranks.sharded):
            return
        with self.phases.during("sampling"):
            count, prompt = self.options.sample_count, sample_prompt(self.request)
            size = (self.request.subject.width, self.request.subject.height)
            sample = Sample(step, prompt, self.draw([prompt] * count, range(count), size))
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
        if self.ranks.decided(lambda: self.run.file_of(step) or self.run.file_of(step, candidate=True)) is not None:
            return
        trained = self._gathered()
        if not self.ranks.first:
            return
        try:
            with self.phases.during("saving"):
                wanted = _is_due(self.options.save_every, step)
                result = self._write_file(trained, step, f"{self.request.name}_step{step}", candidate=not wanted)
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
            self.run.drop_candidates(())
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
        candidate = self.run.file_of(step) or self.run.file_of(step, candidate=True)
        if candidate is None:
            gone = Wording("The file of the chosen step {0} is gone: the last step is the result.", str(step))
            self.tell(Warned(gone))
            return None
        result = save_chosen(candidate, self.method.folder, self.run, self.request.name, self.scores.reason)
        self.run.add_file(result)
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
        self.ranks.decided(lambda: self.run.fail(str(error), self.curve.points))
        self.state.resume(self.training, self.curve)
        self._resume_scores()
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

    def _write_file(self, trained: Trained, steps: int, name: str, candidate: bool = False) -> Personalized:
        """Write the file for these steps, and add it to the run's record."""
        # The file's metadata hold the options in use; the run's record and key hold the requested ones.
        own = self.training.options
        options = replace(self.request.options, batch_size=own.batch_size * self.ranks.count)
        options = Levers.of(own).applied_to(replace(options, accumulation=own.accumulation))
        result = save_steps(self.base, self.method, self.request, options, self.run, steps, name, trained)
        self.run.add_file(result, candidate)
        return result


def _is_due(every: int, done: int) -> bool:
    """Whether a task that is done every so many steps is due; 0 means never."""
    return bool(every) and done % every == 0
