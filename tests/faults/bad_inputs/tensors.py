"""Files of tensors: LoRAs to go on from, bases, states; torn, overwritten, foreign."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ....trainer.events import Step, never
from ....trainer.export.adapter_writer import write_lora
from ....trainer.files.lazy_tensors import save_tensors
from ....trainer.files.safetensors import read_metadata, read_tensors
from ....trainer.methods.lora.start import starting_weights
from ....trainer.methods.registry import Lora
from ....trainer.model.families import family_of, open_source
from ....trainer.model.layers import layers_of
from ....trainer.session.resume_state import restore, write_state
from ....trainer.session.setup import build_training, encode_request
from ....trainer.training.step import Training
from ..setting import Setting
from .judging import Verdicts, accepted_or_refused, examples, refused

Use = Callable[[Path], Any]
KEY = "a" * 64


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """LoRAs, states and bases, each listed and made up."""
    training, method = _begun(setting)
    lora, state, bad = folder / "lora.safetensors", folder / "state.safetensors", folder / "bad.safetensors"
    write_lora(method.weights(setting.base), layers_of(setting.base), "kohya", lora, {}, torch.float16)
    write_state(state, KEY, training, [Step(1, 4, 0.5, None, 1e-3, 1.0, 3.0, 1.0)])

    def continued(file: Path) -> Any:
        asked = replace(setting.request, continue_from=file)
        return starting_weights(file, setting.base, asked.options)

    def restored(file: Path) -> Any:
        return restore(file, KEY, training)

    found = [("whole LoRA", accepted_or_refused(lambda: continued(lora)))]
    found += [("whole state", accepted_or_refused(lambda: restored(state)))]
    for what, whole, use in (("LoRA", lora, continued), ("state", state, restored)):
        found += [(f"{what}: {name}", faults) for name, faults in _listed(bad, whole, use)]
        found += [(f"{what} {name}", faults) for name, faults in _made_up(bad, whole, use, count)]
    bases = [(f"base: {name}", faults) for name, faults in _foreign(bad, lambda file: family_of(open_source(file)))]
    other_rank = replace(setting.request.options, rank=3)
    found.append(("another rank", refused(lambda: starting_weights(lora, setting.base, other_rank), "rank")))
    return [*found, *bases, *_other_states(bad, state, restored)]


def _begun(setting: Setting) -> tuple[Training, Lora]:
    encoded = encode_request(setting.base, setting.request, never)
    method = Lora()
    method.attach(setting.base, setting.request.options)
    training = build_training(setting.base, method, setting.request.options, encoded)
    training.step(0)
    return training, method


def _foreign(bad: Path, use: Use) -> Verdicts:
    """What is no file of ours at all."""
    huge = struct.pack("<Q", 1 << 60) + b"{}"
    contents = {
        "empty": b"", "a byte": b"\0", "text": b"no tensors", "zeros": bytes(1000), "no tensor": _headed({}),
        "a huge header": huge, "a header that is no JSON": struct.pack("<Q", 4) + b"{{{{",
        "pickle": b"\x80\x04\x95" + bytes(50),
        "a zip": b"PK\x03\x04" + bytes(100), "a list": struct.pack("<Q", 2) + b"[]",
    }  # fmt: skip
    found = []
    for name, content in contents.items():
        bad.write_bytes(content)
        found.append((name, refused(lambda: use(bad), bad.name)))
    bad.unlink()
    found.append(("missing", refused(lambda: use(bad), bad.name)))
    bad.mkdir()
    found.append(("a folder", refused(lambda: use(bad))))
    bad.rmdir()
    bad.symlink_to(bad)
    found.append(("a link to itself", refused(lambda: use(bad))))
    bad.unlink()
    return found


def _listed(bad: Path, whole: Path, use: Use) -> Verdicts:
    tensors, said = read_tensors(whole), read_metadata(whole)
    first = next(name for name in tensors if not name.endswith(".alpha"))
    changed: dict[str, dict[str, Tensor]] = {
        "a tensor less": {name: tensor for name, tensor in tensors.items() if name != first},
        "a tensor more": {**tensors, "weights.more.lora_A.weight": torch.ones(1)},
        "another shape": {**tensors, first: torch.ones(7, 7, 7)},
        "one number": {**tensors, first: torch.ones(1)},
        "an alpha of many numbers": {
            n: torch.ones(3) if n.endswith((".alpha", "losses")) else t for n, t in tensors.items()
        },
    }
    found = [(name, faults) for name, faults in _foreign(bad, use) if name != "missing" or "state" not in whole.name]
    for name, content in changed.items():
        save_tensors(content, bad, said)
        found.append((name, refused(lambda: use(bad), bad.name)))
    return found


def _made_up(bad: Path, whole: Path, use: Use, count: int) -> Verdicts:
    content = whole.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]

    def torn(at: int) -> list[str]:
        bad.write_bytes(content[:at])
        return refused(lambda: use(bad), bad.name)

    def overwritten(where: tuple[int, bytes]) -> list[str]:
        at, by = where
        bad.write_bytes(content[:at] + by + content[at + len(by) :])
        return accepted_or_refused(lambda: use(bad), bad.name)

    places = st.tuples(st.integers(0, header - 9), st.binary(min_size=1, max_size=8))
    return examples(st.integers(0, len(content) - 1), 2 * count, torn) + examples(places, 2 * count, overwritten)


def _other_states(bad: Path, state: Path, use: Use) -> Verdicts:
    tensors, said = read_tensors(state), read_metadata(state)
    progress = "dreambooth.progress"
    changes: dict[str, dict[str, str]] = {
        "of another version": {"dreambooth.state": "0"}, "of another run": {"dreambooth.key": "b" * 64},
        "progress that is no JSON": {progress: "{"}, "progress of another kind": {progress: "[]"},
        "no progress": {progress: "{}"},
        "rates of too many": {progress: json.dumps({"rates": [1, 2, 3], "schedule": {}})},
        "rates that are none": {progress: json.dumps({"rates": 1, "schedule": {}})},
    }  # fmt: skip
    found = []
    for name, change in changes.items():
        save_tensors(tensors, bad, {**said, **change})
        found.append((f"state {name}", refused(lambda: use(bad), bad.name)))
    return found


def _headed(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text
