"""Going on from a LoRA: the training begins at the file's function, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.layouts import Layout
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.methods.lora.start import starting_weights
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer, LoraWeights, all_layers
from dreambooth_nodes.trainer.methods.registry import Lora
from dreambooth_nodes.trainer.methods.start import kept_settings, require_continuable
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_of
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.presets import preset_named
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.subject.subject import Subject

RANK, ALPHA = 3, 1.5
NewBase = Callable[[], Base]


@pytest.fixture(scope="module")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "continuing") as folder:
        yield write_checkpoint("sd1", folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def small(base_file: Path) -> Base:
    """For tests that change nothing in it."""
    return load_base(base_file)


def lora_of(base: Base, text: bool = True) -> LoraWeights:
    """Half of the denoiser's attention at one rank, feed-forward at another; the text encoder's queries."""
    generator = torch.Generator().manual_seed(0)
    lora: dict[str, dict[str, LoraLayer]] = {}
    for (component, layer), shape in layers_of(base).places.items():
        if layer.endswith(("attn1.to_q", "attn1.to_out.0", "ff.net.2", *(["self_attn.q_proj"] if text else []))):
            rank = RANK - 1 if "ff" in layer else RANK
            down = torch.randn(rank, *shape[1:], generator=generator).half().float() / 8
            up = torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=generator).half().float() / 8
            lora.setdefault(component, {})[layer] = LoraLayer(down, up, ALPHA)
    return lora


def options(**changes: Any) -> TrainOptions:
    return TrainOptions(**{"rank": RANK, "train_text_encoder": True, **changes})


@torch.no_grad()
def answer(base: Base) -> torch.Tensor:
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    return base.predict(latents, torch.tensor([500]), base.encode_prompts(["a dog"]))


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
def test_the_training_begins_at_the_files_function(layout: Layout, base_file: Path, tmp_path: Path) -> None:
    base = load_base(base_file)
    lora = lora_of(base)
    plain = answer(base)
    file = write_lora(lora, layers_of(base), layout, tmp_path / "a.safetensors", {}, torch.float32)
    method = Lora(starting_weights(file, base, options()))
    method.attach(base, options())
    begun = answer(base)
    torch.testing.assert_close(begun, answer(merge_into(load_base(base_file), lora)), rtol=1e-4, atol=1e-4)
    assert (begun - plain).abs().max() > 0.01
    kept = {(c, name): layer for c, name, layer in all_layers(method.weights(base))}
    for component, name, layer in all_layers(lora):
        found = kept[component, name]
        torch.testing.assert_close(found.change(), layer.change())
        if layout == "kohya":
            assert (found.rank, found.alpha) == (layer.rank, layer.alpha)
    fresh = [layer for place, layer in kept.items() if place[1] not in lora[place[0]]]
    assert fresh and all(not layer.up.any() and layer.down.any() for layer in fresh)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rank": 8}, r"rank is 8, and 'a\.safetensors' has rank 3"),
        ({"alpha": 4.0}, r"alpha is 4, and 'a\.safetensors' has 1\.5"),
        ({"train_text_encoder": False}, "train_text_encoder"),
        ({"targets": "attention"}, r"'attention' do not train.*denoiser: .*ff\.net\.2"),
    ],
)
def test_what_does_not_fit_the_file_is_named(changes: dict[str, Any], said: str, small: Base, tmp_path: Path) -> None:
    file = write_lora(lora_of(small), layers_of(small), "kohya", tmp_path / "a.safetensors", {}, torch.float16)
    with pytest.raises(OptionError, match=said):
        starting_weights(file, small, options(**changes))


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
def test_a_run_that_says_no_rank_takes_the_files(layout: Layout, base_file: Path, tmp_path: Path) -> None:
    """Over the preset's; new layers get its alpha too, where the layout has one."""
    base = load_base(base_file)
    file = write_lora(lora_of(base), layers_of(base), layout, tmp_path / "a.safetensors", {}, torch.float32)
    settings = {**preset_named("best likeness").options("lora"), **kept_settings(file), "train_text_encoder": True}
    unsaid = TrainOptions(**settings)
    assert (unsaid.rank, unsaid.alpha) == (RANK, None)
    method = Lora(starting_weights(file, base, unsaid))
    method.attach(base, unsaid)
    fresh = [layer for c, name, layer in all_layers(method.weights(base)) if name not in lora_of(base)[c]]
    assert {layer.alpha / layer.rank for layer in fresh} == {ALPHA / RANK if layout == "kohya" else 1.0}


def test_without_a_file_nothing_is_kept_and_a_file_without_a_lora_is_named(tmp_path: Path) -> None:
    assert kept_settings(None) == {}
    with pytest.raises(CheckpointError, match=r"a\.safetensors.*no LoRA"):
        kept_settings(write_tensors({"weight": torch.ones(1), "bias": torch.ones(1)}, tmp_path / "a.safetensors", {}))


def lora_file(path: Path, value: float) -> Path:
    return write_tensors({"lora_unet_a.lora_down.weight": torch.full((1, 2), value)}, path, {})


def test_only_a_lora_continues_a_lora(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="There is no LoRA"):
        require_continuable(tmp_path / "gone.safetensors", options())
    file = lora_file(tmp_path / "a.safetensors", 1.0)
    with pytest.raises(OptionError, match="method is 'full'"):
        require_continuable(file, options(method="full"))


def test_the_files_content_is_in_the_runs_key(subject: Subject, tmp_path: Path) -> None:
    def key(file: Path | None) -> str:
        return Request(
            subject=subject, identifier="ohwx", options=options(), name="dog", continue_from=file
        ).key("base")  # fmt: skip

    first, copy, other = (tmp_path / name for name in ("first", "copy", "other"))
    for file, content in ((first, 1.0), (copy, 1.0), (other, 2.0)):
        lora_file(file, content)
    assert key(first) == key(copy)
    assert len({key(None), key(first), key(other)}) == 3
