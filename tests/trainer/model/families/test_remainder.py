"""Every tensor of a component is used, known as not needed, or an error; nothing is scaled or left out in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.trainer.model.families.small import checkpoint, checkpoint_shapes
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_shapes, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer
from dreambooth_nodes.trainer.methods.registry import Full
from dreambooth_nodes.trainer.model.families import FAMILIES, family_of, load_base
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import CLIP_L, DENOISER, VAE
from dreambooth_nodes.trainer.model.layers import layers_in
from dreambooth_nodes.trainer.model.original_layout import original_tensors
from dreambooth_nodes.trainer.model.source import CheckpointFile, ShapesOnly
from dreambooth_nodes.trainer.options import TrainOptions

Tensors = dict[str, Tensor]
QUERY = f"{DENOISER}input_blocks.1.1.transformer_blocks.0.attn1.to_q"


@lru_cache
def whole() -> Tensors:
    return {key: tensor.contiguous() for key, tensor in checkpoint("sd1").items()}


def in_8_bits(tensors: Tensors, old: bool, dtype: torch.dtype = torch.float8_e4m3fn) -> Tensors:
    """With the denoiser's and the text encoder's linear layers scaled to the whole range, as converters write them."""
    found = dict(tensors)
    for key, weight in tensors.items():
        if key.endswith(".weight") and weight.ndim == 2 and "norm" not in key and key.startswith((DENOISER, CLIP_L)):
            layer, largest = key.removesuffix(".weight"), torch.finfo(dtype).max
            scale = weight.abs().max() / largest if old else weight.abs().amax(1, keepdim=True) / largest
            found[key] = (weight / scale).to(dtype)
            found[f"{layer}.scale_weight" if old else f"{layer}.weight_scale"] = scale
            if not old:
                said = json.dumps({"format": str(dtype).removeprefix("torch.")}).encode()
                found[f"{layer}.comfy_quant"] = torch.tensor(list(said), dtype=torch.uint8)
    return {**found, f"{DENOISER}scaled_fp8": torch.zeros(2, dtype=dtype)} if old else found


@pytest.mark.parametrize("old", [True, False], ids=["scaled_fp8", "comfy_quant"])
def test_a_scaled_checkpoint_has_the_weights_that_it_was_made_of(old: bool, tmp_path: Path) -> None:
    plain = whole()
    file = write_tensors(in_8_bits(plain, old), tmp_path / "a.safetensors", {})
    base = load_base(file)
    query = base.denoiser.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q.weight
    wanted = plain[f"{QUERY}.weight"]
    assert query.std() == pytest.approx(float(wanted.std()), rel=0.01)
    assert (query - wanted).abs().max() <= wanted.abs().max() / 16
    assert set(base.source.shapes) == set(plain)
    # And so it goes on: written anew, the weights are plain ones.
    target = tmp_path / "plain.safetensors"
    written = read_tensors(convert(Conversion(source=file, layout="checkpoint", target=target, dtype="fp16")).path)
    assert written.keys() == plain.keys()
    assert torch.equal(written[f"{QUERY}.weight"].float(), query)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_a_checkpoint_all_in_8_bits_is_loaded_trained_and_converted(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {key: t.to(dtype) if t.is_floating_point() else t for key, t in whole().items()}
    file = write_tensors(tensors, tmp_path / "a.safetensors", {})
    base, full = load_base(file), Full()
    full.attach(base, TrainOptions(method="full", train_text_encoder=True))
    written = original_tensors(base, full.trained(base))
    assert {written[key].dtype for key in (f"{QUERY}.weight", f"{CLIP_L}final_layer_norm.weight")} == {torch.float16}
    assert written[f"{VAE}quant_conv.weight"].dtype == dtype
    target = tmp_path / "half.safetensors"
    half = convert(Conversion(source=file, layout="checkpoint", target=target, dtype="fp16")).path
    assert load_base(half).fingerprint == base.fingerprint


STRANGE = (
    (f"{QUERY.replace('blocks.0.attn1', 'blocks.2.attn1')}.weight", r"transformer_blocks\.2\.attn1"),
    (f"{DENOISER}input_blocks.1.1.transformer_blocks.0.fuser.linear.weight", r"fuser\.linear"),
    (f"{DENOISER}position_net.linears.0.weight", r"position_net\.linears"),
    (f"{VAE}encoder.down.0.attn.0.q.weight", r"encoder\.down\.0\.attn"),
    (f"{CLIP_L}encoder.layers.9.mlp.fc1.weight", r"layers\.9\.mlp"),
    (f"{CLIP_L}adapter.weight", r"adapter\.weight"),
)


@pytest.mark.parametrize(("key", "named"), STRANGE)
def test_a_tensor_that_no_module_would_use_is_an_error_that_names_it(key: str, named: str, tmp_path: Path) -> None:
    file = write_tensors({**whole(), key: torch.ones(2, 2)}, tmp_path / "a.safetensors", {})
    with pytest.raises(CheckpointError, match=named):
        load_base(file)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_what_checkpoints_hold_besides_is_known_by_name(family: str) -> None:
    """Buffers of the schedule, positions, the scale and the projection of similarity, the mask, losses, EMA."""
    shapes = checkpoint_shapes(family)
    schedule = ("betas", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "logvar")
    more = ("log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "lvlb_weights")
    buffers = (*schedule, *more, "posterior_variance", "posterior_mean_coef1", "denoiser.sigmas", "scale_factor")
    text = "conditioner.embedders.0.transformer." if family == "sdxl" else "cond_stage_model.transformer."
    besides = (*buffers, f"{text}text_projection.weight", f"{text}logit_scale", f"{VAE}loss.logvar", "ztsnr")
    rest = family_of(ShapesOnly(family, {**shapes, **dict.fromkeys(besides, (1,))})).remainder(
        {**shapes, **dict.fromkeys(besides, (1,))}
    )
    assert (rest.strange, rest.beside, rest.copies) == ([], [], ["model_ema.decay"])
    assert set(besides) <= rest.known.keys()


def test_what_is_not_known_is_named_and_carried_along(tmp_path: Path) -> None:
    more = {"control_model.input_hint.weight": torch.ones(2), "my_notes": torch.zeros(1), "x.y": torch.ones(1)}
    file = write_tensors({**whole(), **more}, tmp_path / "a.safetensors", {})
    (said,) = load_base(file).unused().warnings
    assert all(key in said for key in more)
    done = convert(Conversion(source=file, layout="checkpoint", target=tmp_path / "b.safetensors"))
    assert read_shapes(done.path) == read_shapes(file)
    folder = convert(Conversion(source=file, layout="diffusers folder", target=tmp_path / "folder"))
    assert any("control_model.input_hint.weight" in text for text in folder.warnings)


def lora_of(file: Path, folder: Path) -> Path:
    layers = layers_in(file)
    place = next(place for place in layers.places if place[1].endswith("attn1.to_q"))
    width, height = layers.places[place]
    weights = {place[0]: {place[1]: LoraLayer(torch.ones(2, height), torch.ones(width, 2), 2.0)}}
    return write_lora(weights, layers, "kohya", folder / "lora.safetensors", {}, torch.float32)


COPIES = ("model_ema.diffusion_modelinput_blocks00weight", "model.ema.out.2.weight", "unet_ema.conv_in.weight")


@pytest.mark.parametrize("key", COPIES)
def test_a_second_copy_is_not_carried_on_beside_changed_weights(key: str, tmp_path: Path) -> None:
    file = write_tensors({**whole(), key: torch.ones(2)}, tmp_path / "a.safetensors", {})
    merged = convert(
        Conversion(source=lora_of(file, tmp_path), layout="checkpoint", target=tmp_path / "b.safetensors", base=file)
    )
    assert not {key, "model_ema.decay"} & read_shapes(merged.path).keys()
    assert any(key in text and "left out" in text for text in merged.warnings)
    base, full = load_base(file), Full()
    full.attach(base, TrainOptions(method="full"))
    assert not {key, "model_ema.decay"} & original_tensors(base, full.trained(base)).keys()
    # The same weights in another dtype keep theirs.
    same = convert(Conversion(source=file, layout="checkpoint", target=tmp_path / "c.safetensors"))
    assert key in read_shapes(same.path) and not same.warnings


def test_each_family_says_what_it_ignores() -> None:
    assert all(family.ignorable for family in FAMILIES)


@pytest.mark.parametrize("change", [torch.Tensor.int, lambda t: t.to(torch.uint8), torch.Tensor.bool])
def test_whole_numbers_are_no_weights(change: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    tensors = whole()
    file = write_tensors({**tensors, f"{QUERY}.weight": change(tensors[f"{QUERY}.weight"])}, tmp_path / "a", {})
    with pytest.raises(CheckpointError, match=r"whole numbers.*attn1\.to_q\.weight"):
        load_base(CheckpointFile(file))


@pytest.mark.parametrize(
    ("line", "wanted"), [('parameterization: "v"', "v_prediction"), ("parameterization: eps", "epsilon")]
)
def test_the_configuration_beside_a_checkpoint_tells_its_prediction_type(
    line: str, wanted: str, tmp_path: Path
) -> None:
    """As the WebUI takes it; the file's own header goes first."""
    file = write_tensors(whole(), tmp_path / "a.safetensors", {})
    (tmp_path / "a.yaml").write_text(
        f"model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    {line}\n"
    )
    source = CheckpointFile(file)
    assert family_of(source).prediction_type(source, None) == wanted
    own = CheckpointFile(write_tensors(whole(), file, {"modelspec.prediction_type": "epsilon"}))
    assert family_of(own).prediction_type(own, None) == "epsilon"


def test_a_lora_is_merged_into_a_checkpoint_in_8_bits_whose_layout_joins_tensors(tmp_path: Path) -> None:
    plain = {key: tensor.contiguous() for key, tensor in checkpoint("sd2").items()}
    small = {key: t.to(torch.float8_e4m3fn) if t.is_floating_point() else t for key, t in plain.items()}
    file = write_tensors(small, tmp_path / "a.safetensors", {})
    layers = layers_in(file)
    places = [
        place for place in layers.places if place[0] != "denoiser" and place[1].endswith("layers.0.self_attn.q_proj")
    ]
    component, name = places[-1]
    height, width = layers.places[component, name]
    lora = {component: {name: LoraLayer(torch.ones(1, width), torch.ones(height, 1), 1.0)}}
    own = write_lora(lora, layers, "kohya", tmp_path / "lora.safetensors", {}, torch.float32)
    done = convert(Conversion(source=own, layout="checkpoint", target=tmp_path / "b.safetensors", base=file))
    key = next(k for k in read_shapes(file) if k.endswith("resblocks.0.attn.in_proj_weight"))
    found, before = read_tensors(done.path, key)[key].float(), small[key].float()
    assert (found[:height] - before[:height] - 1).abs().max() < 0.01
    assert torch.equal(found[height:], before[height:])
