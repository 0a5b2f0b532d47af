"""DoRA, LoKr, LiDB and LoRA with convolutions of their own rank: identity at first, saved, read back, gone on from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.methods.adapters import (
    OPTIONS,
    answer,
    attached,
    options_of,
    randomise,
    weights_of,
)
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.distributed.sharding import require_shardable
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.adapters import adapter_metadata, read_adapter
from dreambooth_nodes.trainer.methods.lokr.layer import factored
from dreambooth_nodes.trainer.methods.lora.layouts import kohya_tensors
from dreambooth_nodes.trainer.methods.registry import METHODS
from dreambooth_nodes.trainer.methods.start import kept_settings, require_continuable
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_in, layers_of
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError

NEAR = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(scope="module", params=["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def base_file(request: pytest.FixtureRequest, sd1: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "adapters_of_sdxl") as folder:
        yield sd1 if request.param == "sd1" else write_checkpoint("sdxl", folder / "sdxl.safetensors")


@pytest.fixture(scope="module")
def sd1(tiny_base_file: Path) -> Path:
    return tiny_base_file


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_adapter_is_what_its_file_says(kind: str, base_file: Path, tmp_path: Path) -> None:
    """In the live model, merged into the base, and gone on from."""
    base, options = load_base(base_file), options_of(kind)
    plain = answer(base)
    method = attached(base, options)
    torch.testing.assert_close(answer(base), plain, **NEAR)
    randomise(base)
    live = answer(base)
    assert (live - plain).norm() > 0.02 * plain.norm()
    with method.untrained(base):
        torch.testing.assert_close(answer(base), plain, **NEAR)
    adapter, layers = weights_of(method, base), layers_of(base)
    tensors = kohya_tensors(adapter, layers, torch.float32)
    file = write_tensors(tensors, tmp_path / "adapter.safetensors", adapter_metadata(adapter))
    compatible = check_applies(file, base_file)
    assert compatible.fits and compatible.matched == sum(map(len, adapter.values())) and not compatible.left_out
    merged = merge_into(load_base(base_file), read_adapter(file, layers_in(base_file)))
    torch.testing.assert_close(answer(merged), live, **NEAR)
    require_continuable(file, options)
    again = load_base(base_file)
    kept = options_of(kind, **kept_settings(file), alpha=None)
    attached(again, kept, METHODS[options.method].read_start(file, again, kept))
    torch.testing.assert_close(answer(again), live, **NEAR)


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_change_and_the_gradients_are_those_of_the_weights(kind: str, sd1: Path) -> None:
    """‖Δ‖² beside that of the merged weights; every trained weight gets a gradient."""
    base = load_base(sd1)
    method = attached(base, options_of(kind))
    randomise(base)
    change = method.squared_change(base, by_factors=False)
    change.backward()
    trained = [p for module in base.components().values() for p in module.parameters() if p.requires_grad]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in trained)
    with torch.no_grad():
        before, after = load_base(sd1), merge_into(load_base(sd1), weights_of(method, base))
        pairs = [
            (new, old)
            for name, module in after.components().items()
            for new, old in zip(module.parameters(), before.components()[name].parameters(), strict=True)
        ]
        expected = sum((new.double() - old.double()).square().sum() for new, old in pairs)
    torch.testing.assert_close(float(change), float(expected), rtol=2e-4, atol=0)
    assert float(method.squared_change(base, by_factors=True).detach()) > 0


@pytest.mark.parametrize("kind", ["dora", "lokr"])
def test_an_adapter_converts_to_what_is_exact(kind: str, sd1: Path, tmp_path: Path) -> None:
    base = load_base(sd1)
    method = attached(base, options_of(kind))
    randomise(base)
    live, adapter = answer(base), weights_of(method, base)
    source = write_tensors(kohya_tensors(adapter, layers_of(base), torch.float32), tmp_path / "own.safetensors", {})
    whole = tmp_path / "whole.safetensors"
    wanted = Conversion(source=source, layout="checkpoint", target=whole, base=sd1, dtype="fp32")
    torch.testing.assert_close(answer(load_base(convert(wanted).path)), live, **NEAR)
    same = convert(replace(wanted, layout="kohya", target=tmp_path / "same.safetensors"))
    assert read_metadata(same.path)["ss_network_module"] == "lycoris.kohya"
    first, second = read_tensors(source), read_tensors(same.path)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    with pytest.raises(ConversionError, match=r"is a (DoRA|LoKr), which 'diffusers' has no exact form for"):
        convert(replace(wanted, layout="diffusers", target=tmp_path / "theirs.safetensors"))
    with pytest.raises(OptionError, match=f"only '{kind}' can continue it"):
        require_continuable(source, TrainOptions())


def test_convolutions_have_their_own_rank_at_the_same_scale(sd1: Path) -> None:
    base = load_base(sd1)
    lora = weights_of(attached(base, options_of("lora")), base)
    found = {(layer.is_wide, layer.rank, layer.alpha) for own in lora.values() for layer in own.values()}
    assert found == {(False, 4, 2.0), (True, 2, 1.0)}
    fields = adapter_metadata(lora)
    assert (fields["ss_network_dim"], fields["ss_network_alpha"]) == ("4", "2")
    assert fields["ss_network_args"] == '{"conv_dim": "2", "conv_alpha": "1"}'


def test_files_that_cannot_be_read_exactly_are_refused(sd1: Path, tmp_path: Path) -> None:
    base, options = load_base(sd1), options_of("dora")
    own = kohya_tensors(weights_of(attached(base, options), base), layers_of(base), torch.float32)
    key = next(key for key in own if key.endswith("to_q.dora_scale"))
    torn = write_tensors({k: t for k, t in own.items() if k != key}, tmp_path / "torn.safetensors", {})
    with pytest.raises(CheckpointError, match=r"to_q\.dora_scale beside the halves"):
        read_adapter(torn, layers_in(sd1))
    rows = {k: t.reshape(-1, 1) if k == key else t for k, t in own.items()}
    of_rows = write_tensors(rows, tmp_path / "rows.safetensors", {})
    with pytest.raises(OptionError, match="a magnitude for each output"):
        METHODS["dora"].read_start(of_rows, load_base(sd1), options)
    odd = write_tensors({"lora_unet_x.lokr_t2": torch.zeros(2, 2, 3, 3)}, tmp_path / "tucker.safetensors", {})
    with pytest.raises(CheckpointError, match=r"a LoKr with lokr_t2\. Only those of w1 and w2"):
        read_adapter(odd, layers_in(sd1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "dora", "base_in_8_bits": True}, "measures the base's own weights"),
        ({"method": "lokr", "trained_weights": "bf16", "optimizer": "adafactor"}, "trains few weights"),
        ({"conv_rank": -1}, "conv_rank is -1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TrainOptions(**changes)


@pytest.mark.parametrize("method", ["dora", "lokr", "lidb"])
def test_sharded_training_refuses_other_adapters_than_loras(method: Any) -> None:
    with pytest.raises(OptionError, match=f"method is '{method}'; FSDP takes"):
        require_shardable(TrainOptions(method=method))


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [(320, 0, (16, 20)), (320, 8, (8, 40)), (1280, 4, (4, 320)), (127, 8, (1, 127)), (360, 16, (15, 24))],
)
def test_a_side_is_factored_as_lycoris_does(size: int, factor: int, expected: tuple[int, int]) -> None:
    assert factored(size, factor) == expected
