"""A disk that is full: a small file system where one may be mounted, else a limit on the size of files."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...trainer.events import Event, Phase, Step
from ...trainer.runs.store import Store
from .disk import Reference, after_death, at_the_end, contents, reference
from .forks import in_child
from .row import Row
from .setting import Setting, store_in, train

SIZE = 8 << 20
WAY_OUT = ("run the same again", "goes on from step")
SAID: dict[str, tuple[str, ...]] = {"before class images": (), "step 1": ("run the same again", "begins anew")}
"""Where no state could be written yet."""
MOMENTS = ("before class images", "step 1", "step 2", "sampling", "saving", "saving, 100 kB free")


@dataclass
class FullDisk:
    """folder: of the small file system; None where none may be mounted, and files are limited in size."""

    setting: Setting
    folder: Path
    mounted: bool
    against: Reference

    def row(self, moments: Sequence[str]) -> Row:
        """These moments at which the disk is full."""
        by = f"tmpfs of {SIZE >> 20} MB" if self.mounted else "RLIMIT_FSIZE"
        row = Row("a full disk", notes=[by])
        for moment in moments:
            row.add(moment, self._faults(moment))
        return row

    def _faults(self, moment: str) -> list[str]:
        store = store_in(self.folder / "host")
        shutil.rmtree(self.folder / "host", ignore_errors=True)
        ended = in_child(lambda: self._trained(store, moment))
        faults = [*self._of_the_end(moment, ended.answer or {}), *after_death(store, self.against)]
        (self.folder / "filler").unlink(missing_ok=True)
        before = contents(store)
        again = in_child(lambda: train(self.setting, store))
        faults += again.faults
        if again.answer is not None and not again.faults:
            faults += at_the_end(store, self.against, again.answer, before)
        return faults

    def _of_the_end(self, moment: str, answer: dict[str, Any]) -> Iterator[str]:
        if "OSError" not in answer.get("kinds", ()):
            yield f"it ended with {answer}"
        elif any(words not in answer["text"] for words in SAID.get(moment, WAY_OUT)):
            yield f"the error names no way out: {answer['text']}"

    def _trained(self, store: Store, moment: str) -> dict[str, Any]:
        self.seen_saving = 0

        def on_event(event: Event) -> None:
            if self._is(event, moment):
                self._fill(100_000 if "free" in moment else 0)

        if moment == MOMENTS[0]:
            self._fill(0)
        return train(self.setting, store, on_event=on_event)

    def _is(self, event: Event, moment: str) -> bool:
        if isinstance(event, Step):
            return moment == f"step {event.step}"
        if isinstance(event, Phase) and event.name == "saving":
            self.seen_saving += 1
            # The first one is of the file between.
            return moment.startswith("saving") and self.seen_saving == 2
        return isinstance(event, Phase) and event.name == moment

    def _fill(self, free: int) -> None:
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (free or 1000, resource.RLIM_INFINITY))
            return
        with (self.folder / "filler").open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            stream.truncate(max(0, stream.tell() - free))


def rows(setting: Setting, small: bool) -> Iterator[Callable[[], Row]]:
    """One row."""
    yield lambda: _row(setting, MOMENTS[2:5:2] if small else MOMENTS)


def _row(setting: Setting, moments: Sequence[str]) -> Row:
    store = setting.store("before the disk is full")
    answer = in_child(lambda: train(setting, store)).answer or {}
    against = reference(setting.key(store), store, answer["losses"])
    folder = setting.folder / "small disk"
    folder.mkdir()
    mounted = _mount(folder)
    try:
        return FullDisk(setting, folder, mounted, against).row(moments)
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0
