"""The memory that the WebUI's own model takes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from .offered import call, offered


@contextmanager
def model_memory() -> Iterator[None]:
    """The WebUI's loaded model off the device; back afterwards, or with the next picture. In a `queued` job only."""
    if offered("modules.sd_models:model_data.forge_hash") is not None:
        _drop_forge_model()
        yield
    elif unload := offered("ldm_patched.modules.model_management:unload_all_models"):
        # reForge: the next picture brings the model back.
        unload()
        call("ldm_patched.modules.model_management:soft_empty_cache")
        yield
    else:
        with _model_put_aside():
            yield


@contextmanager
def _model_put_aside() -> Iterator[None]:
    """Automatic1111's."""
    # Not shared.sd_model, which would load one.
    loaded = getattr(offered("modules.sd_models:model_data"), "sd_model", None)
    if loaded is not None:
        call("modules.sd_models:unload_model_weights", loaded)
    try:
        yield
    finally:
        if loaded is not None:
            call("modules.sd_models:send_model_to_device", loaded)


def _drop_forge_model() -> None:
    """Forge's and Forge Neo's, which the next picture loads again.

    Forge's own unloading frees nothing on a CPU, and on a GPU keeps the model in memory beside it; Neo's is whole.
    """
    call("backend.memory_management:unload_all_models")
    call("modules.sd_models:unload_model_weights")
    data, fake = offered("modules.sd_models:model_data"), offered("modules.sd_models:FakeInitialModel")
    if fake is not None:
        data.set_sd_model(fake())
        data.forge_hash = ""
    gc.collect()
    call("backend.memory_management:soft_empty_cache")
    call("modules.devices:torch_gc")
