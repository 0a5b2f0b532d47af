"""From a subject to a file: encode, train, sample, save."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Base
from .batches import Batches
from .continuing import starting_weights
from .encoding import encode_request
from .events import Stop, Tell, Warned, never, tell_nobody
from .loss_curve import LossCurve
from .methods import METHODS, Lora, Method
from .out_of_memory import OutOfMemory, is_out_of_memory, what_would_fit
from .outcome import Outcome
from .past_runs import find_finished
from .personalized import Personalized
from .phase_seconds import PhaseSeconds
from .request import Request
from .run import Run, open_run
from .sample import draw_sample
from .state_keeper import StateKeeper
from .store import Store
from .train import train
from .training import Training
from .watch import TrainingDiverged, Watch
from .wording import Wording


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

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.phases = PhaseSeconds(self.tell)
        self.method = self._method()
        self.state = StateKeeper(self.run.state, self.run.key, self.options.state_seconds, self.tell)

    def result(self, resume: bool) -> Personalized:
        self.run.write(status="running", **self.request.record(self.base.fingerprint))
        with self.phases.during("encoding"):
            prompts, instance, prior = encode_request(self.base, self.request, self.stop)
        self.method.attach(self.base, self.options)
        batches = Batches(instance, prior, self.base.process, self.options.seed, self.options.batch_size)
        self.training = Training(self.base, batches, prompts, self.options)
        watch = Watch(self.training.scaler.is_enabled())
        self.curve = LossCurve(self.options.steps, self.tell, self.base.device, watch)
        self.outcome = Outcome(
            self.method, self.request, self.run, self.training, self.curve, self.state, self.phases, self.tell
        )
        if resume:
            self.state.resume(self.training, self.curve)
        self._train()
        return self.outcome.result()

    def _method(self) -> Method:
        file = self.request.continue_from
        if file is None:
            return METHODS[self.options.method]()
        return Lora(starting_weights(file, self.base, self.options))

    def _train(self) -> None:
        try:
            with self.phases.during("training"):
                train(self.training, self.curve, self.tell, self.stop, self._after_step)
            if len(self.curve.points) == self.options.steps:
                self._sample(self.options.steps)
        except TrainingDiverged as error:
            raise self.outcome.last_good(error) from error
        except BaseException as end:
            self.outcome.what_there_is(end)
            raise

    def _after_step(self, done: int) -> None:
        if done == self.options.steps:
            return
        if _is_due(self.options.sample_every, done):
            self._sample(done)
        if _is_due(self.options.save_every, done):
            self.outcome.to_choose_from(done)
        self.state.write_if_due(self.training, self.curve)

    def _sample(self, step: int) -> None:
        if not self.options.sample_count:
            return
        with self.phases.during("sampling"):
            sample = draw_sample(self.base, self.request, step)
        try:
            self.run.samples.keep(sample)
        except OSError as error:
            lost = Wording(
                "The pictures of step {0} were not kept, and the training goes on: {1}", str(step), str(error)
            )
            self.tell(Warned(lost))
        self.tell(sample)


def _is_due(every: int, done: int) -> bool:
    return bool(every) and done % every == 0
