"""A personalization from subject to file: encode, train, sample, save."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..distributed.processes import ALONE, Processes
from ..distributed.sharding import require_shardable
from ..events import PhaseSeconds, Planned, Stop, Tell, Warned, never, tell_nobody
from ..memory.levers import memory_advice
from ..memory.plan import make_plan
from ..model.base import Base
from ..out_of_memory import OutOfMemory, is_out_of_memory
from ..runs.past_runs import find_finished
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run, open_run
from ..runs.store import Store
from ..training.divergence import DivergenceGuard, TrainingDiverged
from ..training.loop import train
from ..training.loss_curve import LossCurve
from ..wording import Wording
from .drawing import draw_sample
from .resume_state import StateKeeper
from .saving import Outcome
from .setup import build_training, encode_request, method_of, own_options


def personalize(
    base: Base,
    request: Request,
    store: Store,
    tell: Tell = tell_nobody,
    stop: Stop = never,
    resume: bool = True,
    processes: Processes = ALONE,
) -> tuple[Personalized, Run]:
    """Fine-tune `base` on the subject and save the result, or return the finished run with the same key.

    Changes `base`, including the dtype of its frozen layers: load a fresh one for the next run. Resumes from the state
    of a run with the same key that was stopped or died, unless `resume` is False. When `tell` or the training raises,
    the weights trained so far are saved before the exception is passed on; when the loss diverges, the last good state
    is saved. processes: this process is the first of them, and the request's batch_size is that of all together; the
    other processes are in `Follower.serve`.

    Raises StoppedEarly, TrainingDiverged, OutOfMemory, RunInUse, StateError, ResultNotWritten.
    """
    run = open_run(request.key(base.fingerprint), store)
    try:
        with run.alone():
            found = find_finished(request, base.fingerprint, store)
            return found or (_Personalization(base, request, run, tell, stop, processes).result(resume), run)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0]
    # Outside the handler: the error's traceback refers to the tensors that filled the memory.
    subject, options = request.subject, own_options(request.options, processes)
    raise OutOfMemory(f"{memory_advice(options, subject.width, subject.height)} ({said})")


@dataclass
class _Personalization:
    """The stages of one run, in their order."""

    base: Base
    request: Request
    run: Run
    tell: Tell
    stop: Stop
    processes: Processes

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.phases = PhaseSeconds(self.tell)
        self.method = method_of(self.options, self.request.continue_from, self.base, self.processes)
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def result(self, resume: bool) -> Personalized:
        """Run all stages; returns the saved result. resume: whether to continue from the run's state on disk."""
        levers = self._plan(resume)
        for text in self._unused():
            self.tell(Warned(text))
        with self.phases.during("encoding"):
            encoded = encode_request(self.base, self.request, self.stop)
        self.processes.order("train", base=self.base.fingerprint, levers=levers)
        self.processes.attempt(lambda: self.method.attach(self.base, self.options))
        self.training = build_training(self.base, self.options, encoded, self.processes)
        watch = DivergenceGuard(self.training.scaler.is_enabled())
        self.curve = LossCurve(self.options.steps, self.tell, self.base.device, watch)
        self.outcome = Outcome(
            self.method, self.request, self.run, self.training, self.curve, self.state, self.phases, self.tell
        )
        if resume:
            self.state.resume(self.training, self.curve)
        self._train()
        return self.outcome.result()

    def _unused(self) -> tuple[str, ...]:
        """What of the base and of the LoRA to continue from is not used or only assumed, each one sentence."""
        rest = self.base.unused()
        copies = rest.without_copies if self.options.method == "full" else ()
        return (*rest.warnings, *copies, *self.method.warnings)

    def _plan(self, resume: bool) -> dict[str, Any]:
        """Choose the memory levers, or keep those that a resumed run began with, and write the run's record; returns
        all levers.
        """
        kept = self.run.record.get("plan") if resume and self.run.state.is_file() else None
        if self.processes.sharded:
            require_shardable(replace(self.options, **(kept or {})))
        own, alone = own_options(self.options, self.processes), not self.processes.several
        size, priors = (self.request.subject.width, self.request.subject.height), self.request.priors is not None
        plan = make_plan(self.base.source, own, size, priors, self.base.device, kept, alone)
        self.options = replace(self.options, **plan.pulled)
        record = self.request.record(self.base.fingerprint)
        self.run.write(status="running", **record, plan=plan.levers, planned=plan.text)
        if plan.text:
            self.tell(Planned(plan.text) if plan.fits else Warned(plan.text))
        return plan.pulled

    def _train(self) -> None:
        """Train and draw the last sample images; where an exception ends it, save the weights before passing it on."""
        try:
            with self.phases.during("training"):
                train(self.training, self.curve, self.tell, self._stops, self._after_step)
            if len(self.curve.points) == self.options.steps:
                self._sample(self.options.steps)
        except TrainingDiverged as error:
            raise self.outcome.save_last_good_state(error) from error
        except BaseException as end:
            self.outcome.save_on_error(end)
            raise

    def _stops(self) -> bool:
        """Whether this or any other process was asked to stop."""
        return self.stop() or self.processes.stopping

    def _after_step(self, done: int) -> None:
        """Draw samples, save files and write the state where they are due; the last step's sample and file are made
        elsewhere.
        """
        if done == self.options.steps:
            return
        if _is_due(self.options.sample_every, done):
            self._sample(done)
        if _is_due(self.options.save_every, done):
            self.outcome.save_intermediate(done)
        self.state.write_if_due(self.training, self.curve)

    def _sample(self, step: int) -> None:
        """Draw, keep and report the sample images of a step; images that cannot be written are a warning."""
        if not self.options.sample_count:
            return
        with self.phases.during("sampling"):
            sample = draw_sample(self.base, self.request, step, self.processes)
        try:
            self.run.samples.keep(sample)
        except OSError as error:
            lost = Wording(
                "The pictures of step {0} were not kept, and the training goes on: {1}", str(step), str(error)
            )
            self.tell(Warned(lost))
        self.tell(sample)


def _is_due(every: int, done: int) -> bool:
    """Whether a task that is done every so many steps is due; 0 means never."""
    return bool(every) and done % every == 0
