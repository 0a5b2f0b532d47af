"""The smallest stand-in for a WebUI: the part of `modules` that webui_host.py uses, all of it in this file.

Names, arguments and what they do are those that Forge f2.0.1v1.10.1 was seen to offer and A1111 1.10 has in its source.
It has no model and draws no pictures; it writes down what it is asked to do with them.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

LOG = "log.txt"


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
        self.models, self.loras = data / "models" / "Stable-diffusion", data / "models" / "Lora"
        for folder in (self.models, self.loras):
            folder.mkdir(parents=True, exist_ok=True)
        flags = {"ckpt_dir": None, "lora_dir": str(self.loras), "no_gradio_queue": False, "api": True, "nowebui": False}
        options = SimpleNamespace(**flags, api_auth=api_auth)
        self.state = State()
        self.state.begin()
        self.shared = _module(
            "shared", cmd_opts=options, device="cpu", state=self.state, refresh_checkpoints=self.list_models
        )
        self.sd_models = _module("sd_models", model_path=str(self.models), checkpoints_list={})
        self._offer(kind)
        self.list_models()

    def _offer(self, kind: str) -> None:
        """Put the modules where `import modules` finds them."""
        queue = _module("call_queue", queue_lock=threading.Lock())
        notes = {name: lambda *_, name=name: self.log(name) for name in ("start_task", "finish_task")}
        notes["add_task_to_queue"] = lambda *_: None
        models, data = self.sd_models, SimpleNamespace(sd_model=SimpleNamespace(lowvram=False))
        models.select_checkpoint = lambda: next(iter(models.checkpoints_list.values()), None)
        models.get_closet_checkpoint_match = self.match
        models.model_data = data
        models.unload_model_weights = lambda model=None: self.log("model unloaded")
        models.send_model_to_device = lambda model: self.log("model back")
        if kind == "forge":
            self._offer_forge(data)
        callbacks = {"on_ui_tabs": self.tabs.append, "on_app_started": self.started.append}
        offered = [
            queue,
            models,
            self.shared,
            _module("devices", torch_gc=lambda: None),
            _module("infotext_utils", ParamBinding=SimpleNamespace, register_paste_params_button=self.bindings.append),
            _module("paths", data_path=str(self.data)),
            _module("progress", **notes),
            _module("script_callbacks", **callbacks),
        ]
        sys.modules["modules"] = package = ModuleType("modules")
        for module in offered:
            setattr(package, module.__name__.rpartition(".")[2], module)
        sys.modules["networks"] = _module("networks", list_available_networks=lambda: self.log("loras listed"))
        self.queue_lock = queue.queue_lock

    def _offer_forge(self, data: SimpleNamespace) -> None:
        self.sd_models.FakeInitialModel = FakeInitialModel
        data.forge_hash = "loaded"
        data.set_sd_model = lambda model: setattr(data, "sd_model", model)
        memory = _module("memory_management", soft_empty_cache=lambda: None)
        memory.unload_all_models = lambda: self.log("model unloaded")
        sys.modules["backend"] = _module("backend", memory_management=memory)

    def list_models(self) -> None:
        """refresh_checkpoints."""
        infos = [CheckpointInfo(file) for file in sorted(self.models.glob("*.safetensors"))]
        self.sd_models.checkpoints_list = {info.name: info for info in infos}
        self.log("checkpoints listed")

    def match(self, name: str) -> CheckpointInfo | None:
        """get_closet_checkpoint_match."""
        found = [info for info in self.sd_models.checkpoints_list.values() if name in (info.name, info.name_for_extra)]
        return found[0] if found else None

    def log(self, what: str) -> None:
        """Write down what happened, for tests."""
        with (self.data / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")


def _module(module_name: str, **contents: Any) -> Any:
    module = ModuleType(f"modules.{module_name}")
    vars(module).update(contents)
    sys.modules[module.__name__] = module
    return module
