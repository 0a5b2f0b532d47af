"""`--events`: what happens, as JSON lines on stdout, for the program that started this one and may stop it."""

from __future__ import annotations

import _thread
import base64
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import TracebackType
from typing import IO, Any

from PIL import Image
from torch import Tensor

from ..trainer.events import Event, Phase, Planned, Resumed, Sample, Saved, Scored, Step, Validated, Warned
from ..trainer.operating_system import STOP
from .failures import in_one_line
from .stopping import StopSignals


class EventLines:
    """A listener for `train`, in a context: an error that ends it is told too, and a line on stdin stops it.

    Every line is an object with "event": phase, progress, planned, step, resumed, warned, sample, scored, saved, result
    or failed.
    """

    def __init__(self, out: IO[str], orders: IO[str], stop: StopSignals) -> None:
        self._out, self._orders, self._stop = out, orders, stop
        self._write = threading.Lock()

    def __enter__(self) -> EventLines:
        threading.Thread(target=self._await_order, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and (said := in_one_line(error)) is not None:
            self.tell("failed", text=said)

    def tell(self, kind: str, **fields: Any) -> None:
        """Write one line."""
        with self._write:
            print(json.dumps({"event": kind, **fields}), file=self._out, flush=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell how many parts of a whole are done."""
        self.tell("progress", what=what, done=done, total=total)

    def __call__(self, event: Event) -> None:
        """Tell what `personalize` tells."""
        match event:
            case Phase():
                if event.name == "training":
                    self._stop.patient = True
                self.tell("phase", name=event.name)
            case Step():
                self.tell("step", **asdict(event))
            case Resumed():
                self.tell("resumed", points=[asdict(point) for point in event.points])
            case Planned():
                self.tell("planned", text=event.text)
            case Warned():
                self.tell("warned", text=event.text)
            case Sample():
                pictures = [_png(image) for image in event.images]
                self.tell("sample", step=event.step, prompt=event.prompt, pictures=pictures)
            case Scored() | Validated():
                self.tell("scored" if isinstance(event, Scored) else "validated", **asdict(event))
            case Saved():
                self.tell("saved", file=str(event.path))

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        """Tell how many are done."""
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.progress(what, done, total)

        self.progress(what, 0, total)
        yield advance

    def _await_order(self) -> None:
        # Not by the stream, whose lock this thread would still hold when the interpreter ends.
        os.read(self._orders.fileno(), 1)
        # As a signal, so that it also ends what is not asked between steps; on Windows nobody can send one.
        _thread.interrupt_main(STOP)


def _png(image: Tensor) -> str:
    pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
