"""The WebUI's checkpoints and LoRAs, its folders, and its lists."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...trainer.runs.store import Store
from .offered import call, offered

log = logging.getLogger(__name__)

LISTS: dict[str, tuple[Any, ...]] = {
    "checkpoints": ("modules.shared:refresh_checkpoints",),
    "LoRAs": ("networks:list_available_networks",),
}
"""{what the WebUI lists: (what lists it anew, its arguments)}."""
WORD = "{name}"
"""How a prompt of the WebUI says a learned word: by its file's name alone."""


def store() -> Store:
    """Results where the WebUI lists them; runs, class images and photos in `outputs/dreambooth`."""
    work = Path(offered("modules.paths:data_path", ".")).resolve() / "outputs" / "dreambooth"
    return Store(_lora_folders()[0], _checkpoint_folders()[0], work, _embedding_folder(), WORD)


def device() -> str:
    """Where the WebUI computes, as torch names it; "" where it does not say."""
    return str(offered("modules.shared:device", ""))


def checkpoints() -> list[str]:
    """The WebUI's checkpoints that can be trained, as it names them."""
    infos = offered("modules.sd_models:checkpoints_list")
    if infos is None:
        return list(_files(_checkpoint_folders()))
    return [info.name for info in infos.values() if info.filename.endswith(".safetensors")]


def current_checkpoint() -> str:
    """The WebUI's name of the checkpoint that is chosen; "": there is none."""
    info = _selected()
    return "" if info is None else str(info.name)


def checkpoint_file(name: str) -> Path | None:
    """A checkpoint of the WebUI's by any name that the WebUI knows; "": the one that is chosen. None: there is none."""
    match = offered("modules.sd_models:get_closet_checkpoint_match")
    if name and match is None:
        return _files(_checkpoint_folders()).get(name)
    info = match(name) if name else _selected()
    return None if info is None else Path(info.filename)


def checkpoint_names(file: Path) -> dict[str, str]:
    """What generation parameters call a checkpoint: {"Model hash", "Model"}; empty where the WebUI lists it not."""
    for info in offered("modules.sd_models:checkpoints_list", {}).values():
        if Path(info.filename) == file:
            return {"Model hash": info.shorthash or info.hash, "Model": info.name_for_extra}
    return {}


def loras() -> dict[str, Path]:
    """{path within the WebUI's LoRA folder: file} of what can be gone on from."""
    return _files(_lora_folders())


def refresh_lists() -> list[str]:
    """Let the WebUI find new LoRAs, checkpoints and learned words; in sentences, which of its lists it failed at."""
    asked = dict(LISTS)
    if _model_is_loaded():
        # Without a model it would load one for it; and it lists them when it loads one.
        asked["learned words"] = ("modules.sd_hijack:model_hijack.embedding_db.load_textual_inversion_embeddings", True)
    failed = []
    for what, (where, *values) in asked.items():
        try:
            call(where, *values)
        # Whatever it is, it is the WebUI's own, and the file is there.
        except Exception as error:
            log.exception("The WebUI's list of %s", what)
            failed.append(f"The WebUI could not list its {what} anew ({error}): press its own Refresh.")
    return failed


def _model_is_loaded() -> bool:
    return getattr(offered("modules.sd_models:model_data"), "sd_model", None) is not None


def _selected() -> Any:
    """The WebUI's information on its current checkpoint, or None."""
    try:
        select = offered("modules.sd_models:select_checkpoint")
        return select() if select else None
    # Automatic1111's and reForge's, where there is no checkpoint at all.
    except FileNotFoundError:
        return None


def _checkpoint_folders() -> list[Path]:
    """Where the WebUI looks for checkpoints; where results go first. Forge Neo takes several."""
    flags = [offered("modules.shared:cmd_opts.ckpt_dir"), *offered("modules.shared:cmd_opts.ckpt_dirs", [])]
    return _folders([*flags, offered("modules.sd_models:model_path")], "Stable-diffusion")


def _lora_folders() -> list[Path]:
    """The same of LoRAs."""
    flags = [offered("modules.shared:cmd_opts.lora_dir"), *offered("modules.shared:cmd_opts.lora_dirs", [])]
    return _folders(flags, "Lora")


def _embedding_folder() -> Path:
    """Where the WebUI looks for learned words."""
    named = offered("modules.shared:cmd_opts.embeddings_dir")
    return Path(named or Path(offered("modules.paths:data_path", ".")) / "embeddings").resolve()


def _folders(named: Iterable[str | None], usual: str) -> list[Path]:
    usually = Path(offered("modules.paths:models_path", "models")).resolve() / usual
    return [Path(name) for name in named if name] or [usually]


def _files(folders: Iterable[Path]) -> dict[str, Path]:
    """{path within its folder: file}; the first of a name is the one."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.safetensors")):
            found.setdefault(file.relative_to(folder).as_posix(), file)
    return found
