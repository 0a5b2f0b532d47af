"""The smallest stand-in for a WebUI: the part of `modules` that webui_host.py uses, and a page with our tab in it.

Its surface is what A1111 1.10 and Forge were seen to offer; names, arguments and order of calls are theirs. It draws no
pictures: its "Generate" waits in the queue and writes down when its turn came. Run as a script:
`stand_in.py PACKAGES EXTENSION DATA PORT KIND [API_AUTH]`, with the folder of a Gradio, and a1111 or forge.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from contextlib import suppress
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


def load_scripts(extension: Path) -> None:
    """As modules.scripts.load_scripts does: flat, with the extension's root on sys.path for that long only."""
    before = sys.path
    for file in sorted((extension / "scripts").glob("*.py")):
        sys.path = [str(extension), *sys.path]
        try:
            spec = importlib.util.spec_from_file_location(os.path.basename(file), file)  # noqa: PTH119
            assert spec is not None and spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        finally:
            sys.path = before


def page(webui: WebUI) -> Any:
    """txt2img, and every extension's tab."""
    import gradio as gr

    def generate(prompt: str) -> str:
        with webui.queue_lock:
            webui.state.begin("txt2img")
            webui.log("txt2img")
            webui.state.end()
        return f"drawn: {prompt}"

    tabs = [tab for build in webui.tabs for tab in build()]
    with gr.Blocks(title="stand-in") as demo:
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
                prompt = gr.Textbox(label="Prompt", elem_id="txt2img_prompt")
                drawn = gr.Textbox(label="Drawn", elem_id="txt2img_drawn")
                gr.Button("Generate", elem_id="txt2img_generate").click(generate, [prompt], [drawn])
            for blocks, title, name in tabs:
                with gr.Tab(title, id=name, elem_id=f"tab_{name}"):
                    blocks.render()
        for binding in webui.bindings:
            binding.paste_button.click(lambda text: text, [binding.source_text_component], [prompt])
    return demo


def main(extension: Path, data: Path, port: int, kind: str, api_auth: str | None = None) -> None:
    """Serve until killed."""
    webui = WebUI(data, kind, api_auth)
    load_scripts(extension)
    demo = page(webui)
    demo.queue(64)
    app, *_ = demo.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    for callback in webui.started:
        callback(demo, app)
    app.add_api_route("/sdapi/v1/interrupt", webui.state.interrupt, methods=["POST"])
    print("ready", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    packages, place, folder, number, *rest = sys.argv[1:]
    # Not by PYTHONPATH, which the training process would inherit.
    sys.path.insert(0, packages)
    main(Path(place), Path(folder), int(number), *rest)
