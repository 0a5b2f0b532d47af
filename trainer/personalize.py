"""From a subject to a file: encode, train, sample, save."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .base import Base
from .batches import Batches
from .continuing import starting_weights
from .encoding import encode_request
from .events import Phase, PhaseName, Saved, Stop, StoppedEarly, Tell, Warned, never, tell_nobody
from .loss_curve import LossCurve
from .methods import METHODS, Lora, Method
from .out_of_memory import OutOfMemory, is_out_of_memory, what_would_fit
from .past_runs import find_finished
from .personalized import Personalized
from .request import Request
from .run import Run, open_run
from .sample import draw_sample
from .saving import not_written, save_steps
from .state_keeper import StateKeeper
from .store import Store
from .train import train
from .training import Training
from .watch import TrainingDiverged, Watch


def personalize(
    base: Base,
    request: Request,
    store: Store,
    tell: Tell = tell_nobody,
    stop: Stop = never,
    resume: bool = True,
) -> tuple[Personalized, Run]:
    """Teach `base` the subject and save the result, or find the finished run with the same key.

    Changes `base`, the dtype of its frozen layers too: load a fresh one for the next run. Goes on from the state of
    a run with the same key that was stopped or died, unless `resume` is False. When `tell` or the training raises,
    what was trained is saved before the exception goes on; when the loss diverges, the last state that was good is.

    Raises StoppedEarly, TrainingDiverged, OutOfMemory, RunInUse, StateError, ResultNotWritten.
    """
    run = open_run(request.key(base.fingerprint), store)
    try:
        with run.alone():
            found = find_finished(request, base.fingerprint, store)
            return found or (_Personalization(base, request, run, tell, stop).result(resume), run)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0]
    # Outside the handler: the error's traceback keeps what filled the memory.
    subject = request.subject
    raise OutOfMemory(f"{what_would_fit(request.options, subject.width, subject.height)} ({said})")


@dataclass
class _Personalization:
    """The verbs of one run, in their order."""

    base: Base
    request: Request
    run: Run
    tell: Tell
    stop: Stop
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.method = self._method()
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def result(self, resume: bool) -> Personalized:
        self.run.write(status="running", **self.request.record(self.base.fingerprint))
        with self._phase("encoding"):
            prompts, instance, prior = encode_request(self.base, self.request, self.stop)
        self.method.attach(self.base, self.options)
        batches = Batches(instance, prior, self.base.process, self.options.seed, self.options.batch_size)
        self.training = Training(self.base, batches, prompts, self.options)
        watch = Watch(self.training.scaler.is_enabled())
        self.curve = LossCurve(self.options.steps, self.tell, self.base.device, watch)
        if resume:
            self.state.resume(self.training, self.curve)
        self._train()
        return self._save()

    def _method(self) -> Method:
        file = self.request.continue_from
        if file is None:
            return METHODS[self.options.method]()
        return Lora(starting_weights(file, self.base, self.options))

    def _train(self) -> None:
        try:
            with self._phase("training"):
                train(self.training, self.curve, self.tell, self.stop, self._after_step)
            if len(self.curve.points) == self.options.steps:
                self._sample(self.options.steps)
        except TrainingDiverged as error:
            raise self._back_to_the_last_state(error) from error
        except BaseException as end:
            self._save_what_there_is(end)
            raise

    def _save_what_there_is(self, end: BaseException) -> None:
        """Before an exception goes on. Losses that were not read yet may show that the run has diverged."""
        try:
            self.curve.read()
        except TrainingDiverged as error:
            raise self._back_to_the_last_state(error) from end
        if self.curve.points:
            self._save()

    def _back_to_the_last_state(self, error: TrainingDiverged) -> TrainingDiverged:
        """Save the state from before the loss diverged, if there is one and it is good."""
        self.run.write(status="failed")
        self.state.resume(self.training, self.curve)
        step = len(self.curve.points)
        if not self.run.state.is_file() or not self.curve.watch.allows(self.training.next_losses(step)):
            self.state.remove()
            return TrainingDiverged(f"{error} Nothing is saved.")
        return TrainingDiverged(f"{error} What {step} steps had trained is saved as {self._save('failed').file.name}.")

    def _after_step(self, done: int) -> None:
        if done == self.options.steps:
            return
        if _is_due(self.options.sample_every, done):
            self._sample(done)
        if _is_due(self.options.save_every, done):
            self._save_between(done)
        self.state.write_if_due(self.training, self.curve)

    def _sample(self, step: int) -> None:
        if not self.options.sample_count:
            return
        with self._phase("sampling"):
            sample = draw_sample(self.base, self.request, step)
        try:
            self.run.keep_sample(sample)
        except OSError as error:
            self.tell(Warned(f"The pictures of step {step} were not kept, and the training goes on: {error}"))
        self.tell(sample)

    def _save_between(self, step: int) -> None:
        """A file to choose from; the same one is not written again where a run goes on from before it."""
        self.curve.flush()
        if self.run.file_of(step) is None:
            try:
                with self._phase("saving"):
                    result = self._write_file(step, f"{self.request.name}_step{step}")
            except OSError as error:
                self.tell(Warned(f"The file of step {step} was not written, and the training goes on: {error}"))
            else:
                self.tell(Saved(result.file, last=False))

    def _save(self, status: str = "") -> Personalized:
        done = len(self.curve.points)
        if not done:
            raise StoppedEarly("The run was stopped before its first step; there is nothing to save.")
        finished = done == self.options.steps
        if not finished:
            self.state.write(self.training, self.curve.points)
        try:
            with self._phase("saving"):
                result = self.run.file_of(done) or self._write_file(done, self.request.name)
            self.run.finish(status or ("finished" if finished else "stopped"), self.curve.points, self.seconds)
        except OSError as error:
            if self.state.steps < done:
                self.state.write(self.training, self.curve.points)
            raise not_written(error, self.request.name, done, self.state.steps) from error
        if finished:
            self.state.remove()
        self.tell(Saved(result.file))
        return result

    def _write_file(self, steps: int, name: str) -> Personalized:
        result = save_steps(self.base, self.method, self.request, self.run, steps, name)
        self.run.add_file(result)
        return result

    @contextmanager
    def _phase(self, name: PhaseName) -> Iterator[None]:
        self.tell(Phase(name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def _is_due(every: int, done: int) -> bool:
    return bool(every) and done % every == 0
