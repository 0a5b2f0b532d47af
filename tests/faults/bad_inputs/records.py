"""run.json: torn, foreign, and made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ....trainer.runs.history import history
from ....trainer.runs.record import FITS, FORMAT
from ....trainer.runs.run import open_run
from ....trainer.runs.store import Store
from ..setting import Setting, store_in
from .judging import Verdicts, accepted_or_refused, examples, refused

KEY = "a" * 64
WRONG_FILES: tuple[Any, ...] = (1, "x", [1], [{}], [{"step": 1}], [{"step": 1, "file": "a\0b"}])
KEYS: tuple[Any, ...] = (None, 1, [], "../../../etc", "b" * 64)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
FILES = st.lists(st.fixed_dictionaries({"step": SCALARS, "file": SCALARS}) | JSON, max_size=3)


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """Listed, then made up."""
    store = store_in(folder / "records")
    whole = json.dumps({"format": FORMAT, "key": KEY, "status": "finished", "files": []})
    texts = [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"x"',
        "\0",
        whole[:-1],
        whole[: len(whole) // 2],
        "[" * 100_000,
        "\ufeff" + whole,
    ]
    texts += [json.dumps({"format": FORMAT, "key": key}) for key in KEYS]
    texts += [json.dumps({"format": version, "key": KEY}) for version in (None, 1, "2", 99)]
    wrong: list[tuple[str, Any]] = [("files", value) for value in WRONG_FILES]
    wrong += [("files", [{"step": 1, "file": "f" * 300}]), ("status", 1), ("losses", [{}]), ("losses", {"a": 1})]
    texts += [json.dumps({"format": FORMAT, "key": KEY, name: value}) for name, value in wrong]
    found = [(text[:60], _judged(store, text.encode(), False)) for text in texts]
    found += [("no UTF-8", _judged(store, b"\xff\xfe{}", False))]
    found += examples(JSON, count, lambda value: _judged(store, json.dumps(value).encode()))
    shaped = st.fixed_dictionaries(
        {"format": st.just(FORMAT), "key": st.just(KEY)},
        optional={**dict.fromkeys(FITS.keys() - {"key", "files"}, JSON), "files": FILES},
    )
    return found + examples(shaped, 2 * count, lambda value: _judged(store, json.dumps(value).encode()))


def _judged(store: Store, content: bytes, may_pass: bool = True) -> list[str]:
    folder = open_run(KEY, Store(store.loras, store.checkpoints, store.work / "none")).folder.name
    file = store.work / "runs" / folder / "run.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    faults = accepted_or_refused(lambda: _used(store), "run.json", may_pass) if may_pass else refused(
        lambda: _used(store), "run.json"
    )  # fmt: skip
    try:
        history(store)
    except Exception as error:
        faults.append(f"the history ends in {type(error).__name__}: {error}")
    return faults


def _used(store: Store) -> Any:
    run = open_run(KEY, store)
    return run.result(), run.file(), run.file_of(1), run.losses()
