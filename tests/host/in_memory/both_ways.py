"""Trainings of the embedded base through the adapter and from its file, from one LoRA."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.sd
import torch
from safetensors.torch import load_file, save_file

from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.models import Parts, drawn, losses, new_store, request_of
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.session.personalize import personalize

STEPS = 20


def both_ways(parts: Parts) -> dict[str, Any]:
    """Losses of two trainings of attention from one LoRA, through the adapter and from the file; how far pictures by
    the two results are apart, of 255.
    """
    folder = Path(tempfile.mkdtemp())
    options = {"steps": STEPS, "learning_rate": 1e-3, "rank": 4, "targets": "attention", "precision": "fp32"}
    ours, theirs = start_of(parts, folder)
    result, run = train_in_host(
        host_base(*parts), request_of(ours, **{**options, "precision": "auto"}), new_store(), lambda event: None,
        lambda: False,
    )  # fmt: skip
    with torch.inference_mode(False), torch.enable_grad():
        known, other = personalize(load_base(cached_toybase(), "epsilon"), request_of(theirs, **options), new_store())
    pictures = [
        drawn((comfy.sd.load_lora_for_models(parts[0], None, load_file(file), 1.0, 0.0)[0], *parts[1:]))
        for file in (result.file, known.file)
    ]
    return {
        "adapter": losses(run),
        "file": losses(other),
        "pictures": float((pictures[0] - pictures[1]).abs().max() * 255),
        "changed": float((pictures[0] - drawn(parts)).abs().max() * 255),
    }


def start_of(parts: Parts, folder: Path) -> tuple[Path, Path]:
    """One LoRA of small random weights, by the host's names and by kohya's."""
    with HostModel(*parts, "").borrowed() as base:
        method = HostLora()
        method.attach(base, TrainOptions(rank=4, targets="attention", seed=5))
        tensors = dict(method.file(base, method.trained(base)).tensors)
    source = torch.Generator().manual_seed(6)
    for name in tensors:
        if name.endswith("lora_B.weight"):
            tensors[name] = (torch.randn(tensors[name].shape, generator=source) * 0.02).half()
    kohya = {
        str(target).removesuffix(".weight"): name
        for name, target in comfy.lora.model_lora_keys_unet(parts[0].model, {}).items()
        if name.startswith(("lora_unet_down", "lora_unet_up", "lora_unet_mid"))
    }
    endings = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight", ".alpha": ".alpha"}
    renamed = {
        kohya[name.removesuffix(old)] + new: tensor
        for name, tensor in tensors.items()
        for old, new in endings.items()
        if name.endswith(old)
    }
    assert len(renamed) == len(tensors)
    files = folder / "host.safetensors", folder / "kohya.safetensors"
    for file, named in zip(files, (tensors, renamed), strict=True):
        save_file(named, file)
    return files


def figures() -> dict[str, Any]:
    """Losses and pictures."""
    return both_ways(models.toybase())
