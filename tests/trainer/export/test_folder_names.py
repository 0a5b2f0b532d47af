"""What lies in a diffusers folder is what the classes that load it have: nothing missing, nothing over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from torch import nn

from dreambooth_nodes.machine_check.full_size import tensors_of
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.diffusers_folder import text_encoder_config, text_encoder_weights
from dreambooth_nodes.trainer.files.atomic import write_json
from dreambooth_nodes.trainer.model.families import FAMILIES
from dreambooth_nodes.trainer.model.families.latent_diffusion.build import build_clip, build_denoiser, build_vae
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import DENOISER
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import unet_shape
from dreambooth_nodes.trainer.model.layers import layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly

ACTIVATIONS = {("sd1", "text_encoder"): "quick_gelu", ("sdxl", "text_encoder"): "quick_gelu"}
CLASSES: dict[str, Any] = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL}


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def full_size(family: str) -> dict[str, nn.Module]:
    """{component: our module} of the real sizes on the meta device, from a checkpoint's names and shapes."""
    tensors = tensors_of(family)
    shape = unet_shape({key: tuple(tensor.shape) for key, tensor in tensors.items()}, DENOISER)
    layers = layers_in(ShapesOnly(family, {key: tuple(tensor.shape) for key, tensor in tensors.items()}))
    found: dict[str, nn.Module] = {}
    for component, table in layers.tables.items():
        mine = table.to_ours(tensors)
        if component == "denoiser":
            found[component] = build_denoiser(
                mine, shape.config(8 if family == "sd1" else shape.heads_of_64), torch.half
            )
        elif component == "vae":
            found[component] = build_vae(mine, 0.18215)
        else:
            found[component] = build_clip(mine, ACTIVATIONS.get((family, component), "gelu"))
    return found


def test_the_classes_of_a_folder_have_our_names_at_full_size(family: str, tmp_path: Path) -> None:
    """Built by diffusers and transformers from the configurations that we write, and from nothing else."""
    kind_of = {known.family: known for known in FAMILIES}
    for component, module in full_size(family).items():
        path = tmp_path / component
        path.mkdir()
        if component in ("denoiser", "vae"):
            module.save_config(path)  # type: ignore[operator]
            kind = CLASSES["unet" if component == "denoiser" else component]
            with init_empty_weights():
                theirs = kind.from_config(kind.load_config(path))
            assert shapes(theirs) == shapes(module)
            continue
        write_json(text_encoder_config(module, torch.half), path / "config.json")
        config = transformers.CLIPTextConfig.from_pretrained(path)
        with init_empty_weights():
            theirs = getattr(transformers, config.architectures[0])(config)
        written = {
            name: tuple(tensor.shape)
            for name, tensor in text_encoder_weights(kind_of[family], component, module).items()
        }
        inner = "" if any(name.startswith("text_model.") for name in shapes(theirs)) else "text_model."
        names = {
            name if name.startswith("text_projection.") else f"{inner}{name}": s for name, s in shapes(theirs).items()
        }
        assert written == names


def test_every_class_finds_all_its_weights_in_a_folder_and_no_other(
    family: str, base_file: Path, tmp_path: Path
) -> None:
    wanted = Conversion(source=base_file, layout="diffusers folder", target=tmp_path / "folder", prediction="epsilon")
    folder = convert(wanted).path
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    loaded = [name for name in index if name.startswith(("unet", "vae", "text_encoder"))]
    assert len(loaded) == (4 if family == "sdxl" else 3)
    for name in loaded:
        library, kind = index[name]
        cls = getattr({"diffusers": diffusers, "transformers": transformers}[library], kind)
        _, said = cls.from_pretrained(folder / name, output_loading_info=True)
        faults = {fault: keys for fault, keys in said.items() if keys}
        assert faults == {}, name
