"""Files, models, queue and interface of the WebUI. Only this file imports `modules`, `backend` or `networks`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules import call_queue, devices, infotext_utils, paths, progress, script_callbacks, sd_models, shared
from PIL import Image

from ..trainer.runs.store import Store

on_tabs: Callable[[Callable[[], Any]], None] = script_callbacks.on_ui_tabs
on_started: Callable[[Callable[[Any, Any], None]], None] = script_callbacks.on_app_started


def store() -> Store:
    """Results where the WebUI lists them; runs, class images and photos in `outputs/dreambooth`."""
    checkpoints = Path(shared.cmd_opts.ckpt_dir or sd_models.model_path)
    return Store(Path(shared.cmd_opts.lora_dir), checkpoints, Path(paths.data_path) / "outputs" / "dreambooth")


def device() -> str:
    """Where the WebUI computes, as torch names it."""
    return str(shared.device)


def checkpoints() -> list[str]:
    """The WebUI's checkpoints that can be trained, as it names them."""
    return [info.name for info in sd_models.checkpoints_list.values() if info.filename.endswith(".safetensors")]


def current_checkpoint() -> str:
    """The WebUI's name of the checkpoint that is chosen; "": there is none."""
    info = sd_models.select_checkpoint()
    return "" if info is None else str(info.name)


def checkpoint_file(name: str) -> Path | None:
    """A checkpoint of the WebUI's by any name that the WebUI knows; "": the one that is chosen. None: there is none."""
    info = sd_models.get_closet_checkpoint_match(name) if name else sd_models.select_checkpoint()
    return None if info is None else Path(info.filename)


def loras() -> dict[str, Path]:
    """{path within the WebUI's LoRA folder: file} of what can be gone on from."""
    folder = Path(shared.cmd_opts.lora_dir)
    return {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.safetensors"))}


def checkpoint_names(file: Path) -> dict[str, str]:
    """What generation parameters call a checkpoint: {"Model hash", "Model"}; empty where the WebUI lists it not."""
    for info in sd_models.checkpoints_list.values():
        if Path(info.filename) == file:
            return {"Model hash": info.shorthash or info.hash, "Model": info.name_for_extra}
    return {}


def refresh_lists() -> None:
    """Let the WebUI find new LoRAs and checkpoints."""
    shared.refresh_checkpoints()
    if networks := sys.modules.get("networks"):
        networks.list_available_networks()


def bind_to_txt2img(button: Any, parameters: Any) -> None:
    """Let a button put the generation parameters of a text component into txt2img and show that tab."""
    binding = infotext_utils.ParamBinding(paste_button=button, tabname="txt2img", source_text_component=parameters)
    infotext_utils.register_paste_params_button(binding)


def generators_work() -> bool:
    """Whether handlers may answer bit by bit."""
    return not shared.cmd_opts.no_gradio_queue


def api_is_on() -> bool:
    """--api, or --nowebui, which is the API alone."""
    return bool(shared.cmd_opts.api or shared.cmd_opts.nowebui)


def api_users() -> dict[str, str]:
    """--api-auth: {user: password}; empty where everybody may."""
    said = shared.cmd_opts.api_auth or ""
    return dict(pair.split(":", 1) for pair in said.split(",") if ":" in pair)


@contextmanager
def queued(task: str) -> Iterator[None]:
    """A job in the WebUI's queue: waits for those before it, and those behind it wait. task: a name of its own."""
    progress.add_task_to_queue(task)
    with call_queue.queue_lock:
        shared.state.begin(job=task)
        progress.start_task(task)
        try:
            yield
        finally:
            progress.finish_task(task)
            shared.state.end()


def interrupted() -> bool:
    """Whether somebody pressed the WebUI's Interrupt, or Skip, during this job."""
    return bool(shared.state.interrupted or shared.state.skipped)


def show(text: str, done: int, total: int) -> None:
    """Progress of this job, for the WebUI's bar and API."""
    # Handlers outside the queue set it back.
    shared.state.job_count = 1
    shared.state.sampling_step, shared.state.sampling_steps = done, total
    shared.state.textinfo = text


def show_picture(image: Image.Image) -> None:
    """The live preview of this job."""
    shared.state.assign_current_image(image)


@contextmanager
def model_memory() -> Iterator[None]:
    """The WebUI's loaded model off the device; back afterwards. In a `queued` job only."""
    if hasattr(sd_models.model_data, "forge_hash"):
        _drop_forge_model()
        # The next picture loads it again.
        yield
        return
    # Not shared.sd_model, which would load one.
    loaded = sd_models.model_data.sd_model
    if loaded is not None:
        sd_models.unload_model_weights(loaded)
    try:
        yield
    finally:
        if loaded is not None:
            sd_models.send_model_to_device(loaded)


def _drop_forge_model() -> None:
    """Forge's own unloading frees nothing on a CPU, and on a GPU keeps the model in memory beside it."""
    from backend import memory_management

    memory_management.unload_all_models()
    sd_models.model_data.set_sd_model(sd_models.FakeInitialModel())
    sd_models.model_data.forge_hash = ""
    gc.collect()
    memory_management.soft_empty_cache()
    devices.torch_gc()
