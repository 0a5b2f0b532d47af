"""A stand-in for a WebUI: the part of its modules that a1111/host asks for, all of it in this file.

What it offers is what the real one was seen to offer: `surfaces/KIND.json`, which record_surface.py wrote inside it.
What is not in that list is not there, and a call that the real function would not take is refused. It has no model and
draws no pictures; it writes down what it is asked to do with them.
"""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

LOG = "log.txt"
SURFACES = Path(__file__).with_name("surfaces")
KINDS = tuple(sorted(file.stem for file in SURFACES.glob("*.json")))
"""The WebUIs that there is a list of."""
UNSET = {"bool": False, "list": [], "dict": {}}
"""What a flag is that nobody gave, by its type; of any other type None."""


class State:
    """modules.shared_state.State: what jobs write and the WebUI's bar reads."""

    def begin(self, job: str = "(unknown)") -> None:
        self.job, self.job_count, self.interrupted, self.skipped = job, -1, False, False
        self.sampling_step = self.sampling_steps = 0
        self.textinfo = self.current_image = None

    def end(self) -> None:
        self.job, self.job_count = "", 0

    def interrupt(self) -> None:
        self.interrupted = True

    def assign_current_image(self, image: Any) -> None:
        self.current_image = image


class CheckpointInfo:
    """modules.sd_models.CheckpointInfo: one file, under the names that the WebUI knows it by."""

    def __init__(self, file: Path) -> None:
        self.filename, self.name, self.name_for_extra = str(file), file.name, file.stem
        self.hash, self.shorthash = "0498c7b6", None


class FakeInitialModel:
    """Forge's, for as long as no model is loaded."""


class WebUI:
    """A data folder with models in it, and the modules through which extensions see them."""

    def __init__(self, data: Path, kind: str, api_auth: str | None) -> None:
        self.data, self.tabs, self.started, self.bindings = data, [], [], []  # type: ignore[var-annotated]
        self.kind, self.offers = kind, json.loads((SURFACES / f"{kind}.json").read_text(encoding="utf-8"))["offers"]
        self.models, self.loras = data / "models" / "Stable-diffusion", data / "models" / "Lora"
        for folder in (self.models, self.loras):
            folder.mkdir(parents=True, exist_ok=True)
        self.state, self.checkpoints, self.pending = State(), {}, {}  # type: ignore[var-annotated]
        self.state.begin()
        self.queue_lock = threading.Lock()
        sys.modules["modules"] = ModuleType("modules")
        self._offer("modules.shared", self._shared(api_auth))
        self._offer("modules.sd_models", self._sd_models())
        for name, contents in self._others().items():
            self._offer(name, contents)
        self.list_models()

    def _shared(self, api_auth: str | None) -> dict[str, Any]:
        flags = {
            name: UNSET.get(kind) if isinstance(kind, str) else None
            for name, kind in self.offers["modules.shared:cmd_opts"].items()
        }
        said = {"lora_dir": str(self.loras), "api": True, "api_auth": api_auth}
        options = SimpleNamespace(**{**flags, **{name: value for name, value in said.items() if name in flags}})
        refresh = self.list_models
        return {"cmd_opts": options, "device": "cpu", "state": self.state, "refresh_checkpoints": refresh}

    def _sd_models(self) -> dict[str, Any]:
        data = SimpleNamespace(sd_model=SimpleNamespace(lowvram=False), forge_hash="loaded")
        data.set_sd_model = lambda v, already_loaded=False: setattr(data, "sd_model", v)
        recorded = self.offers["modules.sd_models:model_data"]
        for name in [name for name in vars(data) if name not in recorded]:
            delattr(data, name)
        return {
            "model_path": str(self.models),
            "checkpoints_list": self.checkpoints,
            "select_checkpoint": self.selected,
            "get_closet_checkpoint_match": self.match,
            "model_data": data,
            "unload_model_weights": lambda *_: self.log("model unloaded"),
            "send_model_to_device": lambda *_: self.log("model back"),
            "FakeInitialModel": FakeInitialModel,
        }

    def _others(self) -> dict[str, dict[str, Any]]:
        notes = {name: lambda *_, name=name: self.log(name) for name in ("start_task", "finish_task")}
        notes["add_task_to_queue"] = lambda *_: None
        memory = {"unload_all_models": lambda: self.log("memory freed"), "soft_empty_cache": lambda: None}
        register = self.bindings.append
        hijack = SimpleNamespace()
        if "modules.sd_hijack:model_hijack.embedding_db" in self.offers:
            listed = {"load_textual_inversion_embeddings": lambda force_reload=False: self.log("words listed")}
            hijack.embedding_db = SimpleNamespace(**listed)
        return {
            "modules.call_queue": {"queue_lock": self.queue_lock},
            "modules.devices": {"torch_gc": lambda: None},
            "modules.infotext_utils": {"ParamBinding": SimpleNamespace, "register_paste_params_button": register},
            "modules.paths": {"data_path": str(self.data), "models_path": str(self.data / "models")},
            "modules.progress": {**notes, "pending_tasks": self.pending},
            "modules.script_callbacks": {"on_ui_tabs": self.tabs.append, "on_app_started": self.started.append},
            "backend.memory_management": memory,
            "ldm_patched.modules.model_management": memory,
            "networks": {"list_available_networks": lambda: self.log("loras listed")},
            "modules.sd_hijack": {"model_hijack": hijack},
        }

    def _offer(self, name: str, contents: dict[str, Any]) -> None:
        """Put a module where hosts have it, with what the real one has of these contents."""
        recorded = self.offers.get(name)
        if recorded is None:
            return
        module = sys.modules[name] = ModuleType(name)
        for attribute, value in contents.items():
            if attribute in recorded:
                kind = recorded[attribute]
                setattr(module, attribute, _as_recorded(value, kind) if isinstance(kind, list) else value)
        if name.startswith("modules."):
            setattr(sys.modules["modules"], name.rpartition(".")[2], module)

    def list_models(self) -> None:
        """refresh_checkpoints."""
        infos = [CheckpointInfo(file) for file in sorted(self.models.glob("*.safetensors"))]
        self.checkpoints.clear()
        self.checkpoints.update({info.name: info for info in infos})
        self.log("checkpoints listed")

    def selected(self) -> CheckpointInfo | None:
        """select_checkpoint. Raises FileNotFoundError in those that do."""
        if not self.checkpoints and self.kind in ("a1111", "reforge"):
            raise FileNotFoundError("No checkpoints found.")
        return next(iter(self.checkpoints.values()), None)

    def match(self, name: str) -> CheckpointInfo | None:
        """get_closet_checkpoint_match."""
        found = [info for info in self.checkpoints.values() if name in (info.name, info.name_for_extra)]
        return found[0] if found else None

    def log(self, what: str) -> None:
        """Write down what happened, for tests."""
        with (self.data / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")


def _as_recorded(function: Callable[..., Any], parameters: list[str]) -> Callable[..., Any]:
    """The function, which takes what the real one takes: ["a", "b=", "*c", "**d"]."""
    kinds = {"**": inspect.Parameter.VAR_KEYWORD, "*": inspect.Parameter.VAR_POSITIONAL}
    made = []
    for text in parameters:
        stars = text[: len(text) - len(text.lstrip("*"))]
        kind = kinds.get(stars, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        default = None if text.endswith("=") else inspect.Parameter.empty
        made.append(inspect.Parameter(text.strip("*="), kind, default=default))
    signature = inspect.Signature(made)

    def call(*values: Any, **named: Any) -> Any:
        signature.bind(*values, **named)
        return function(*values, **named)

    return call
