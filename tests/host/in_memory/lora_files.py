"""A LoRA of the host's layers in files of other programs: what diffusers loads, and what is gone on from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers.loaders
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.tests.host.in_memory.models import Parts
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError

RANK, ALPHA = 4, 2.0
LOADERS = {
    "flux2": "Flux2LoraLoaderMixin",
    "krea2": "Krea2LoraLoaderMixin",
    "z_image": "ZImageLoraLoaderMixin",
    "qwen_image": "QwenImageLoraLoaderMixin",
    "anima": "AnimaLoraLoaderMixin",
}
"""{kind: diffusers' class with its pipelines' `load_lora_weights`}."""
Predict = Callable[[], Tensor]


def with_random_branch(base: HostModel) -> HostLora:
    """A LoRA whose every half is random and as its file keeps it, attached to a model."""
    method = HostLora()
    method.attach(base, TrainOptions(rank=RANK, alpha=ALPHA))
    assert base.branch is not None
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for update in base.branch.by_name.values():
            update.down.copy_(update.down.half())
            update.up.copy_((torch.randn(update.up.shape, generator=source) / 2).half())
    return method


def with_more_layers(parts: Parts) -> str:
    """What is said of a LoRA of all layers of the blocks, gone on from with the usual targets."""
    with HostModel(*parts, "").borrowed() as base:
        method = HostLora()
        method.attach(base, TrainOptions(rank=RANK, targets="transformer_and_resnet"))
        file = written(base, method)
        release(base)
        try:
            HostLora(file).attach(base, TrainOptions(rank=RANK))
        except OptionError as error:
            return str(error)
    raise AssertionError("a file with layers that are not trained was gone on from")


def written(base: HostModel, method: HostLora) -> Path:
    """The file of a result, as a run writes it."""
    file = method.file(base, method.trained(base))
    path = Path(tempfile.mkdtemp()) / "own.safetensors"
    save_file(dict(file.tensors), path, dict(file.metadata))
    return path


def for_diffusers(own: Path) -> Path:
    """The same for diffusers, in float32."""
    target = own.with_name("theirs.safetensors")
    return convert(Conversion(source=own, layout="diffusers", target=target, dtype="fp32")).path


def load_into(kind: str, model: Any, file: Path) -> None:
    """Load a LoRA into diffusers' class as its pipelines do it."""
    pipeline: Any = type("Pipeline", (getattr(diffusers.loaders.lora_pipeline, LOADERS[kind]),), {})()
    pipeline.transformer, pipeline.hf_device_map, pipeline.components = model, None, {"transformer": model}
    pipeline.load_lora_weights(file.parent, weight_name=file.name)


def beside_the_pipeline(kind: str, base: HostModel, model: Any, ours: Predict, theirs: Predict) -> dict[str, Any]:
    """The answer with a LoRA beside that of diffusers' class with the exported file, and after going on from either."""
    plain = ours()
    own = written(base, with_random_branch(base))
    with_lora = ours()
    exported = for_diffusers(own)
    load_into(kind, model, exported)
    adapted = theirs()
    found: dict[str, Any] = {
        "moved": float((with_lora - plain).norm() / plain.norm()),
        "distance": float((with_lora - adapted).norm() / adapted.norm()),
        "gone on": {},
    }
    for name, file in {"own": own, "diffusers": exported, "split": of_different_parts(exported)}.items():
        release(base)
        HostLora(file).attach(base, TrainOptions(rank=RANK))
        if name == "split":
            model.delete_adapters("default_0")
            load_into(kind, model, file)
        wanted, again = theirs() if name == "split" else with_lora, ours()
        assert base.branch is not None
        ranks = {len(update.down) for update in base.branch.by_name.values()}
        found["gone on"][name] = {"distance": float((again - wanted).norm() / wanted.norm()), "ranks": sorted(ranks)}
    release(base)
    return found


def release(base: HostModel) -> None:
    """Take a model's branch away."""
    base.release()
    base.branch = None


def of_different_parts(exported: Path) -> Path:
    """The same file with another A in every layer, as programs write that train q, k and v apart."""
    source = torch.Generator().manual_seed(9)
    tensors = {
        name: torch.randn(tensor.shape, generator=source) / 4 if ".lora_A." in name else tensor
        for name, tensor in load_file(exported).items()
    }
    path = exported.with_name("split.safetensors")
    save_file(tensors, path)
    return path
