"""A personalization from subject to file: encode, train, sample, save."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ..distributed.ranks import SINGLE_PROCESS, Ranks
from ..events import Stop, Tell, never, tell_nobody
from ..memory.levers import memory_advice
from ..methods.protocol import Method
from ..model.base import Base, Model
from ..out_of_memory import OutOfMemory, is_out_of_memory
from ..runs.past_runs import find_finished
from ..runs.personalized import Personalized
from ..runs.request import Request
from ..runs.run import Run, RunInUse, open_run
from ..runs.store import Store
from ..scores.scorer import Scorer
from .drawing import DrawPictures, picture_drawer, upscaled_photos_drawer
from .session import Session
from .setup import method_of, own_options


def personalize(
    base: Model,
    request: Request,
    store: Store,
    tell: Tell = tell_nobody,
    stop: Stop = never,
    resume: bool = True,
    ranks: Ranks = SINGLE_PROCESS,
    method: Method[Any] | None = None,
    draw: DrawPictures | None = None,
    scorer: Scorer | None = None,
    draw_untrained: DrawPictures | None = None,
) -> tuple[Personalized, Run]:
    """Fine-tune `base` on the subject and save the result, or return the finished run with the same key.

    Changes `base`, including the dtype of its frozen layers: load a fresh one for the next run. Resumes from the state
    of a run with the same key that was stopped or died, unless `resume` is False. When `tell` or the training raises,
    the weights trained so far are saved before the exception is passed on; when the loss diverges, the last good state
    is saved. ranks: the processes that train together, each of which calls this function with the same request, whose
    batch_size is that of all together; files are written and events reported by the first one only. method: None takes
    the one that the options name. draw: draws the sample images; None takes this package's sampler. Both are
    required of a model that is no `Base`. draw_untrained: draws the untrained model's images, which scores are compared
    with, where `draw` does not draw with `base` itself; None takes `draw` with the base as it was.

    Raises StoppedEarly, TrainingDiverged, OutOfMemory, RunInUse, StateError, ResultNotWritten; OptionError and
    CheckpointError where `continue_from` does not fit or cannot be read; PriorsError; ValueError where the base is not
    the first rank's.
    """
    if ranks.decided(lambda: base.fingerprint) != base.fingerprint:
        raise ValueError("The base is another one than the first process's; every machine needs the same file.")
    run = open_run(ranks.decided(lambda: request.key(base.fingerprint)), store)
    try:
        with ExitStack() as stack:
            ranks.decided(lambda: stack.enter_context(run.alone()))
            if found := ranks.decided(lambda: find_finished(request, base.fingerprint, store)):
                return found
            method = method or method_of(request, base, ranks)
            told = run.log.listening(tell) if ranks.first else tell_nobody
            draw = draw or _drawer(base, request)
            session = Session(base, method, draw, request, run, told, stop, ranks, scorer, draw_untrained)
            return session.result(resume), run
    except (RuntimeError, MemoryError) as error:
        if ranks.first and not isinstance(error, RunInUse):
            run.log.add(f"{type(error).__name__}: {error}")
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0]
    # Outside the handler: the error's traceback refers to the tensors that filled the memory.
    raise _out_of_memory(request, run, ranks, said)


def _out_of_memory(request: Request, run: Run, ranks: Ranks, said: str) -> OutOfMemory:
    """The error with the advice of `memory_advice`; the first rank writes it into the record as the run's failure.

    said: the device's own message.
    """
    advice = memory_advice(own_options(request.options, ranks), *request.subject.largest_size)
    lack = OutOfMemory(f"{advice} ({said})")
    if ranks.first:
        run.write(status="failed", error=str(lack))
    return lack


def _drawer(base: Model, request: Request) -> DrawPictures:
    """This package's own sampler on a `Base`; an upscaler's on the subject's photos."""
    assert isinstance(base, Base)
    if base.small_picture is not None:
        return upscaled_photos_drawer(base, request)
    return picture_drawer(base, request.options.precision)
