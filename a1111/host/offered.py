"""What the WebUI offers, asked for by name: hosts and versions differ, and what one lacks is said in the tab."""

from __future__ import annotations

import sys
from typing import Any

SURFACE: dict[str, str] = {
    "modules.shared:cmd_opts.ckpt_dir": "",
    "modules.shared:cmd_opts.ckpt_dirs": "",
    "modules.shared:cmd_opts.lora_dir": "",
    "modules.shared:cmd_opts.lora_dirs": "",
    "modules.shared:cmd_opts.embeddings_dir": "",
    "modules.shared:cmd_opts.api": "",
    "modules.shared:cmd_opts.nowebui": "",
    "modules.shared:cmd_opts.api_auth": "",
    "modules.shared:cmd_opts.no_gradio_queue": "",
    "modules.paths:data_path": "",
    "modules.paths:models_path": "",
    "modules.shared:device": "",
    "modules.shared:opts.temp_dir": "",
    "modules.sd_models:model_path": "",
    "modules.sd_models:checkpoints_list": "This WebUI does not say which checkpoints it has: the list of bases shows "
    "those of its checkpoint folder.",
    "modules.sd_models:get_closet_checkpoint_match": "",
    "modules.sd_models:select_checkpoint": "This WebUI does not say which checkpoint it uses: choose a base.",
    "modules.shared:refresh_checkpoints": "This WebUI's list of checkpoints cannot be refreshed from here: press its "
    "own Refresh after a training of the whole model.",
    "networks:list_available_networks": "This WebUI's list of LoRAs cannot be refreshed from here: press its own "
    "Refresh after a training.",
    # Forge has no such list: it looks into the folder at every prompt.
    "modules.sd_hijack:model_hijack.embedding_db.load_textual_inversion_embeddings": "",
    "modules.call_queue:queue_lock": "This WebUI's queue cannot be joined: generate no pictures during a training.",
    "modules.progress:add_task_to_queue": "",
    "modules.progress:start_task": "This WebUI's own progress bar does not show a training.",
    "modules.progress:finish_task": "",
    "modules.progress:pending_tasks": "This WebUI does not say which pictures wait: its Interrupt stops a training "
    "even where it was pressed for one of them.",
    "modules.shared:state": "This WebUI's Interrupt does not stop a training: press Stop and keep.",
    "modules.shared:state.assign_current_image": "",
    "modules.sd_models:model_data": "This WebUI's model cannot be unloaded, and takes memory during a training.",
    "modules.sd_models:model_data.forge_hash": "",
    "modules.sd_models:FakeInitialModel": "",
    "modules.sd_models:unload_model_weights": "",
    "modules.sd_models:send_model_to_device": "",
    "modules.devices:torch_gc": "",
    "backend.memory_management:unload_all_models": "",
    "backend.memory_management:soft_empty_cache": "",
    "ldm_patched.modules.model_management:unload_all_models": "",
    "ldm_patched.modules.model_management:soft_empty_cache": "",
    "modules.infotext_utils:ParamBinding": "",
    "modules.infotext_utils:register_paste_params_button": "Send to txt2img only chooses the model: copy the prompt.",
    "modules.script_callbacks:on_app_started": "There is no API for scripts: this WebUI does not say when it started.",
}
"""{"module:attribute": what a user misses where the WebUI has it not; "" where there is another way}."""


def offered(where: str, otherwise: Any = None) -> Any:
    """What the WebUI has under a name of SURFACE, or `otherwise`."""
    module, _, names = where.partition(":")
    found = sys.modules.get(module)
    for name in names.split("."):
        found = getattr(found, name, None)
    return otherwise if found is None else found


def lacking() -> list[str]:
    """What a user misses in this WebUI, in sentences."""
    return [without for where, without in SURFACE.items() if without and offered(where) is None]


def call(where: str, *values: Any) -> None:
    """Call what the WebUI has under a name of SURFACE, if it has it."""
    if do := offered(where):
        do(*values)
