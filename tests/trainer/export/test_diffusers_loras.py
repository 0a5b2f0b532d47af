"""LoRAs that peft and diffusers make and save by themselves: read by us, they answer as they do there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor

from dreambooth_nodes.tests.trainer.model.families.pipelines import SIDE, pipeline, unet_answer
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.weights import all_layers
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_in
from dreambooth_nodes.trainer.subject.frame import Frame

WORDS = "a olt dog in the snow"
RANK = 3
ATTENTION = {"unet": ["to_q", "to_k", "to_v", "to_out.0"], "text": ["q_proj", "k_proj", "v_proj", "out_proj"]}
MORE = {"unet": ["proj_in", "ff.net.2", "conv1", "time_emb_proj"], "text": ["fc1"]}
EVERYTHING = {name: [*ATTENTION[name], *MORE[name]] for name in ATTENTION}
PARTS = ("unet", "text_encoder", "text_encoder_2")
Convert = Callable[[dict[str, Tensor]], dict[str, Tensor]]
NAME = "pytorch_lora_weights.safetensors"


def says_alpha(pipe: Any) -> bool:
    """diffusers 0.34 and later write peft's settings into the header; before, alpha was always the rank."""
    return "unet_lora_adapter_metadata" in inspect.signature(type(pipe).save_lora_weights).parameters


def add_adapter(module: Any, config: LoraConfig) -> None:
    """Skips where transformers refuses the installed peft: nothing by these two libraries can be compared then."""
    try:
        module.add_adapter(config)
    except ValueError as error:
        if "PEFT" not in str(error):
            raise
        pytest.skip(f"transformers {version('transformers')} refuses peft {version('peft')}: {error}")


def adapted(family: str, targets: dict[str, list[str]], parts: tuple[str, ...]) -> dict[str, Any]:
    """A pipeline's modules with adapters of their own, whose B is not zero: {its name for each: module}."""
    pipe = pipeline(family)
    torch.manual_seed(2)
    modules = {name: getattr(pipe, name) for name in parts if getattr(pipe, name, None) is not None}
    for name, module in modules.items():
        names, alpha = targets["unet" if name == "unet" else "text"], RANK * 2 if says_alpha(pipe) else RANK
        add_adapter(module, LoraConfig(r=RANK, lora_alpha=alpha, target_modules=names))
        for key, weight in module.named_parameters():
            if ".lora_" in key:
                torch.nn.init.normal_(weight, std=0.1)
        module.eval()
    return {"pipeline": pipe, **modules}


def save(modules: dict[str, Any], folder: Path, convert: Convert) -> Path:
    """By diffusers, with the settings in the header where it can."""
    pipe, given = modules["pipeline"], {}
    for name in PARTS:
        if name in modules:
            given[f"{name}_lora_layers"] = convert(get_peft_model_state_dict(modules[name]))
            if says_alpha(pipe):
                given[f"{name}_lora_adapter_metadata"] = modules[name].peft_config["default"].to_dict()
    type(pipe).save_lora_weights(folder, **given)
    return folder / NAME


@torch.no_grad()
def our_answer(base_file: Path, lora_file: Path | None) -> Tensor:
    base = load_base(base_file, "epsilon")
    if lora_file is not None:
        merge_into(base, read_lora(lora_file, layers_in(base_file)))
    latents = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(1))
    told = base.encode_prompts([WORDS]) | base.frame_conditioning([Frame.whole(SIDE, SIDE)])
    return base.predict(latents, torch.tensor([500]), told)


SAVED = {
    "the UNet's attention": (ATTENTION, PARTS[:1], convert_state_dict_to_diffusers),
    "all attention": (ATTENTION, PARTS, convert_state_dict_to_diffusers),
    "everything, under peft's names": (EVERYTHING, PARTS, dict),
}
"""{what is trained: (its layers, its modules, how their names are converted)}."""


@pytest.mark.parametrize(
    ("family", "saved"),
    [
        *(("sd1", saved) for saved in SAVED),
        ("sdxl", "all attention"),
        *(pytest.param("sdxl", saved, marks=pytest.mark.slow) for saved in SAVED if saved != "all attention"),
        *(pytest.param("sd2", saved, marks=pytest.mark.slow) for saved in SAVED),
    ],
    indirect=["family"],
    scope="package",
)
def test_a_lora_that_diffusers_saved_answers_here_as_it_does_there(
    family: str, base_file: Path, tmp_path: Path, saved: str
) -> None:
    """Live there, loaded there, and read by us; the first two as its training scripts save."""
    targets, parts, convert = SAVED[saved]
    modules = adapted(family, targets, parts)
    file = save(modules, tmp_path, convert)
    live, loaded = unet_answer(modules.pop("pipeline"), family, WORDS), pipeline(family)
    loaded.load_lora_weights(tmp_path, weight_name=NAME)
    torch.testing.assert_close(unet_answer(loaded, family, WORDS), live, rtol=1e-3, atol=1e-3)
    ours = our_answer(base_file, file)
    torch.testing.assert_close(ours, live, rtol=1e-3, atol=1e-3)
    assert (ours - our_answer(base_file, None)).abs().max() > 0.1
    lora = read_lora(file, layers_in(base_file))
    assert 2 * len(list(all_layers(lora))) == sum(len(get_peft_model_state_dict(m)) for m in modules.values())


def test_names_of_two_times_in_one_file_are_all_read(family: str, base_file: Path, tmp_path: Path) -> None:
    """What diffusers saves where attention is not all that was trained; its own reader drops the attention then."""
    modules = adapted(family, EVERYTHING, PARTS)
    file = save(modules, tmp_path, convert_state_dict_to_diffusers)
    live = unet_answer(modules["pipeline"], family, WORDS)
    torch.testing.assert_close(our_answer(base_file, file), live, rtol=1e-3, atol=1e-3)
