"""Writing a whole base as a diffusers folder, which `DiffusionPipeline.from_pretrained` loads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files.atomic import write_json
from ..files.checked_file import require_same, write_checked
from ..files.lazy_tensors import finite
from ..files.safetensors import CheckpointError, Shapes, to_dtype
from ..model.base import Base
from ..model.keys import text_encoder_name
from ..operating_system import replace_path

NONE: Mapping[str, str] = {}
"""No metadata."""


def write_diffusers_folder(
    base: Base, path: Path, dtype: torch.dtype = torch.float16, metadata: Mapping[str, str] = NONE
) -> Path:
    """Write the UNet, VAE, text encoders, tokenizers and scheduler of a base without adapters; returns `path`.

    metadata: for the header of the denoiser's weights. Raises FileExistsError if `path` exists, CheckpointError for a
    family without a pipeline or if a written file does not match its module, ValueError for a weight that is not
    finite.
    """
    if not base.pipeline:
        raise CheckpointError(f"{base.source.name!r} is a {base.family}, which no pipeline of diffusers is known for.")
    return whole_folder(path, lambda folder: _fill(base, folder, dtype, metadata))


def whole_folder(path: Path, fill: Callable[[Path], None]) -> Path:
    """Write a folder atomically: `fill` fills a temporary folder beside `path`, which is then renamed.

    Raises FileExistsError if `path` exists.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        fill(temporary)
        temporary.chmod(0o755)
        replace_path(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def _fill(base: Base, folder: Path, dtype: torch.dtype, metadata: Mapping[str, str]) -> None:
    """Write all components and model_index.json into `folder`."""
    modules: dict[str, Any] = {**base.components()}
    index: dict[str, Any] = {"_class_name": base.pipeline}
    for component, module in modules.items():
        name = base.diffusers[component]
        index[name] = ["transformers" if component in base.text_encoders else "diffusers", type(module).__name__]
        if component in base.text_encoders:
            _write_text_encoder(base, component, folder / name, dtype)
            tokenizer = name.replace("text_encoder", "tokenizer")
            index[tokenizer] = ["transformers", base.save_tokenizer(component, folder / tokenizer)]
        else:
            module.save_config(folder / name)
            said = metadata if component == "denoiser" else NONE
            _write_weights(module.state_dict(), folder / name / "diffusion_pytorch_model.safetensors", dtype, said)
    for name, scheduler in base.schedulers().items():
        scheduler.save_config(folder / name)
        index[name] = ["diffusers", type(scheduler).__name__]
    write_json({**index, **base.pipeline_index}, folder / "model_index.json")


def text_encoder_weights(family: type[Base], component: str, module: nn.Module) -> dict[str, Tensor]:
    """{transformers 4's name: weight} of a text encoder; transformers 5 reads these names too."""
    weights = {text_encoder_name(name): tensor for name, tensor in module.state_dict().items()}
    return {family.shared_name(component, name): tensor for name, tensor in weights.items()}


def text_encoder_config(module: nn.Module, dtype: torch.dtype) -> dict[str, Any]:
    """The contents of a text encoder's config.json, for weights in `dtype`."""
    config: Any = module.config
    said = {"architectures": [type(module).__name__], "torch_dtype": str(dtype).removeprefix("torch.")}
    return {**config.to_dict(), **said}


def _write_text_encoder(base: Base, component: str, folder: Path, dtype: torch.dtype) -> None:
    """Write a text encoder's configuration and weights."""
    module = base.text_encoders[component]
    write_json(text_encoder_config(module, dtype), _created_folder(folder) / "config.json")
    _write_weights(text_encoder_weights(type(base), component, module), folder / "model.safetensors", dtype)


def _write_weights(
    weights: dict[str, Tensor], file: Path, dtype: torch.dtype, metadata: Mapping[str, str] = NONE
) -> None:
    """Write a component's weights in `dtype`, verified. Raises ValueError where a value is not finite."""
    wanted: Shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    tensors = {key: finite(tensor, key) for key, tensor in to_dtype(weights, dtype).items()}
    write_checked(tensors, file, metadata, lambda shapes, name: require_same(shapes, name, wanted))


def _created_folder(path: Path) -> Path:
    """The folder, created if it does not exist."""
    path.mkdir(parents=True, exist_ok=True)
    return path
