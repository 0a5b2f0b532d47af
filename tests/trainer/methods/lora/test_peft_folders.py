"""LoRAs that peft saves by itself: as strong here as there, from the folder, from its file, and with a folder each."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoHaConfig, LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer as AdaptedLayer
from torch import Tensor, nn

from dreambooth_nodes.machine_check.full_size import new_text_encoder
from dreambooth_nodes.tests.trainer.model.families.small import LAYERS, new_unet, write_checkpoint
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files.safetensors import CheckpointError
from dreambooth_nodes.trainer.methods.lora.adapter import Lora
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.folder import lora_sha256
from dreambooth_nodes.trainer.methods.lora.start import starting_weights
from dreambooth_nodes.trainer.methods.lora.weights import LoraWeights, all_layers
from dreambooth_nodes.trainer.methods.start import kept_settings
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.keys import text_encoder_name
from dreambooth_nodes.trainer.model.layers import Layers, layers_in
from dreambooth_nodes.trainer.options import TrainOptions

SETTINGS: dict[str, dict[str, Any]] = {
    "alpha of twice the rank": {"r": 8, "lora_alpha": 16},
    "rsLoRA": {"r": 4, "lora_alpha": 16, "use_rslora": True},
    "ranks and alphas by pattern": {
        "r": 4,
        "lora_alpha": 2,
        "rank_pattern": {"to_q": 2, r".*\.ff\.net\.2": 6},
        "alpha_pattern": {"attn1.to_q": 5, r"mid_block\..*\.to_k": 7, "^down_blocks.0.resnets.0.conv1": 3},
    },
    "patterns and rsLoRA": {"r": 4, "lora_alpha": 2, "alpha_pattern": {"to_k": 9}, "use_rslora": True},
}
TARGETS = ["to_q", "to_k", "ff.net.2", "conv1", "proj_in"]
TEXT_TARGETS = ["q_proj", "fc1"]
FILE = "adapter_model.safetensors"
Deltas = dict[tuple[str, str], Tensor]


@lru_cache
def layers() -> Layers:
    import tempfile

    return layers_in(write_checkpoint("sd1", Path(tempfile.mkdtemp()) / "sd1.safetensors"))


def saved(module: nn.Module, folder: Path, component: str, **config: Any) -> Deltas:
    """The module with a LoRA of random weights, saved by peft; what it adds to every weight, by peft's own account."""
    torch.manual_seed(5)
    model = get_peft_model(module, LoraConfig(**config))
    for name, weight in model.named_parameters():
        if ".lora_" in name:
            nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    return {
        (component, text_encoder_name(name.removeprefix("base_model.model."))): layer.get_delta_weight("default")
        for name, layer in model.named_modules()
        if isinstance(layer, AdaptedLayer)
    }


def unet(folder: Path, targets: list[str] = TARGETS, **settings: Any) -> Deltas:
    return saved(new_unet("sd1"), folder, "denoiser", target_modules=targets, **settings)


def text(folder: Path, **settings: Any) -> Deltas:
    return saved(new_text_encoder(768, LAYERS), folder, "text_encoder", target_modules=TEXT_TARGETS, **settings)


def require_same(lora: LoraWeights, deltas: Deltas) -> None:
    found = {(component, name): layer.change() for component, name, layer in all_layers(lora)}
    assert found.keys() == deltas.keys()
    for place, change in found.items():
        torch.testing.assert_close(change, deltas[place].flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", SETTINGS)
def test_it_is_as_strong_as_peft_makes_it(kind: str, tmp_path: Path) -> None:
    deltas = unet(tmp_path / "lora", **SETTINGS[kind])
    for path in (tmp_path / "lora", tmp_path / "lora" / FILE):
        lora = read_lora(path, layers())
        require_same(lora, deltas)
        assert not lora.warnings and check_applies(path, layers().source).fits
    renamed = (tmp_path / "lora" / FILE).rename(tmp_path / "lora" / "dog.safetensors")
    require_same(read_lora(renamed, layers()), deltas)


def test_a_folder_for_each_component_is_one_lora(tmp_path: Path) -> None:
    deltas = unet(tmp_path / "unet", r=4, lora_alpha=8) | text(tmp_path / "text_encoder", r=2, lora_alpha=6)
    require_same(read_lora(tmp_path, layers()), deltas)
    assert kept_settings(tmp_path) == {"rank": 4}
    done = convert(Conversion(source=tmp_path, layout="kohya", target=tmp_path / "a.safetensors", layers=layers()))
    found = {(c, name): layer.change() for c, name, layer in all_layers(read_lora(done.path, layers()))}
    assert found.keys() == deltas.keys()
    assert all((found[place] - deltas[place].flatten(1)).abs().max() < 1e-2 for place in found)


def test_an_adapter_of_another_name_lies_in_a_folder_of_it(tmp_path: Path) -> None:
    deltas = unet(tmp_path / "my_dog", r=4, lora_alpha=12)
    require_same(read_lora(tmp_path, layers()), deltas)
    unet(tmp_path / "my_cat", r=4, lora_alpha=12)
    with pytest.raises(CheckpointError, match=r"several LoRAs \(my_cat, my_dog\)"):
        read_lora(tmp_path, layers())


def test_a_file_without_its_settings_says_what_is_assumed(tmp_path: Path) -> None:
    unet(tmp_path / "lora", r=4, lora_alpha=8)
    alone = shutil.copy(tmp_path / "lora" / FILE, tmp_path / "alone.safetensors")
    lora = read_lora(Path(alone), layers())
    assert {layer.alpha / layer.rank for _, _, layer in all_layers(lora)} == {1.0}
    assert "adapter_config.json" in lora.warnings[0] and "alpha is taken to be the rank" in lora.warnings[0]
    # In a folder with others, a config beside them is not theirs.
    shutil.copy(tmp_path / "lora" / "adapter_config.json", tmp_path)
    shutil.copy(alone, tmp_path / "another.safetensors")
    assert read_lora(Path(alone), layers()).warnings


def test_the_settings_are_part_of_a_runs_key(tmp_path: Path) -> None:
    keys = set()
    for alpha in (8, 16):
        unet(tmp_path / f"{alpha}", r=4, lora_alpha=alpha)
        keys |= {lora_sha256(tmp_path / f"{alpha}"), lora_sha256(tmp_path / f"{alpha}" / FILE)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "use_dora|DoRA"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"lora_bias": True}, "lora_B.bias"),
        ({"bias": "lora_only"}, "bias"),
        ({"modules_to_save": ["conv_out"]}, "conv_out"),
    ],
)
def test_what_is_no_plain_lora_of_the_base_is_refused_by_name(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    unet(tmp_path / "lora", ["to_q", "ff.net.2"], r=4, **settings)
    with pytest.raises(CheckpointError, match=said):
        read_lora(tmp_path / "lora", layers())


def test_another_method_of_pefts_is_named(tmp_path: Path) -> None:
    model = get_peft_model(new_unet("sd1"), LoHaConfig(r=2, target_modules=["to_q"]))
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"LOHA|LoHa"):
        read_lora(tmp_path, layers())


@pytest.mark.parametrize("content", ["", "[]", '{"lora_alpha": "big"}', '{"alpha_pattern": {"(": 1}, "lora_alpha": 2}'])
def test_torn_settings_are_named(content: str, tmp_path: Path) -> None:
    unet(tmp_path / "lora", r=4)
    (tmp_path / "lora" / "adapter_config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"adapter_config\.json|pattern"):
        read_lora(tmp_path / "lora", layers())


def test_a_pickled_lora_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4}))
    with pytest.raises(CheckpointError, match=r"adapter_model\.bin.*safetensors"):
        read_lora(tmp_path, layers())


@pytest.mark.parametrize("target", ["conv_in", "conv_out", "time_embedding.linear_1"])
def test_layers_that_no_targets_train_are_trained_along(target: str, tmp_path: Path) -> None:
    deltas = unet(tmp_path / "lora", ["to_q", target], r=2, lora_alpha=2)
    base = load_base(layers().source)
    options = TrainOptions(rank=2)
    method = Lora(starting_weights(tmp_path / "lora", base, options))
    method.attach(base, options)
    found = {(component, name): layer.change() for component, name, layer in all_layers(method.weights(base))}
    assert ("denoiser", target) in deltas
    for place, delta in deltas.items():
        torch.testing.assert_close(found[place], delta.flatten(1), rtol=1e-5, atol=1e-6)
