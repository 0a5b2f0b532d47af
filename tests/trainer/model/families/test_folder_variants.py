"""Folders as diffusers and transformers name their files: whole, sharded, and in every variant of `save_pretrained`."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.model.families.small import components
from dreambooth_nodes.trainer.files.safetensors import CheckpointError
from dreambooth_nodes.trainer.model.families import open_source

PARTS = lru_cache(components)
SHARDED = {"unet": "2MB", "vae": "300kB", "text_encoder": "40MB"}


def save(folder: Path, variant: str | None, sharded: bool, value: float = 0.0) -> Path:
    """A Stable Diffusion 1 by its libraries' own save_pretrained. value: of the denoiser's first bias.

    Where a value is given and the other components are there, they are left as they are.
    """
    for name, (module, _) in PARTS("sd1").items():
        place = "unet" if name == "denoiser" else name
        if name == "denoiser":
            torch.nn.init.constant_(module.conv_in.bias, value)  # type: ignore[union-attr, arg-type]
        elif value and (folder / place).is_dir():
            continue
        more = {"max_shard_size": SHARDED[place]} if sharded else {}
        module.save_pretrained(folder / place, variant=variant, **more)  # type: ignore[operator]
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": "epsilon"}))
    return folder


def first_bias(folder: Path) -> float:
    key = "model.diffusion_model.input_blocks.0.0.bias"
    return float(open_source(folder).tensors(key)[key][0])


@pytest.mark.parametrize(
    ("variant", "sharded"),
    [(None, False), ("fp16", False), ("fp16", True), ("bf16", True), ("non_ema", True), ("my-own", True)],
)
def test_every_variant_is_read(variant: str | None, sharded: bool, tmp_path: Path) -> None:
    save(tmp_path, variant, sharded)
    wanted = {
        table.original_name(name.removeprefix("text_model."))
        for module, table in PARTS("sd1").values()
        for name in module.state_dict()
        if not name.endswith("position_ids")
    }
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1 if sharded else True
    assert set(open_source(tmp_path).shapes) == wanted


@pytest.mark.parametrize(
    ("variants", "read"), [((None, "fp16"), 0), (("bf16", "fp16"), 1), (("ema", "non_ema"), 1), (("a", "fp16"), 1)]
)
def test_of_several_variants_the_best_one_is_read(variants: tuple[str | None, ...], read: int, tmp_path: Path) -> None:
    for index, variant in enumerate(variants):
        save(tmp_path, variant, sharded=bool(index), value=float(index + 1))
    assert first_bias(tmp_path) == read + 1


def test_variants_that_are_not_known_are_named(tmp_path: Path) -> None:
    for variant in ("first", "second"):
        save(tmp_path, variant, sharded=False, value=1.0)
    with pytest.raises(CheckpointError, match=r"several variants of unet/ \(first, second\)"):
        open_source(tmp_path)


def test_a_torn_index_and_a_missing_shard_are_named(tmp_path: Path) -> None:
    save(tmp_path, "fp16", sharded=True)
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json"
    whole = index.read_text()
    for text in ("", "{}", "[]", '{"weight_map": {}}'):
        index.write_text(text)
        with pytest.raises(CheckpointError, match=r"index\.fp16\.json"):
            open_source(tmp_path)
    index.write_text(whole)
    shard = next((tmp_path / "unet").glob("*00001-of-*.safetensors"))
    shard.unlink()
    with pytest.raises(CheckpointError, match=shard.name):
        set(open_source(tmp_path).shapes)
