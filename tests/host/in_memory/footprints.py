"""The memory of training steps, counted on the meta device: of tiny models beside real steps, and of full-size ones."""

from __future__ import annotations

from typing import Any

import comfy.model_patcher
import comfy.supported_models
import torch

from dreambooth_nodes.nodes.host_model import footprint
from dreambooth_nodes.nodes.host_model.footprint import HostFootprint, count
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.nodes.host_model.plan import needed, plan_step
from dreambooth_nodes.nodes.host_model.prediction import predicted
from dreambooth_nodes.tests.host.in_memory.models import SHORT, Parts, flux, qwen, sd3, with_words
from dreambooth_nodes.trainer.memory.meta_execution import LiveMemory
from dreambooth_nodes.trainer.options import TrainOptions

TEXT = 128
"""Tokens of a prompt with its template."""
SIZES: dict[str, tuple[str, dict[str, Any], int, tuple[int, int, int]]] = {
    "Z-Image": (
        "ZImage",
        {
            "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 3840, "cap_feat_dim": 2560,
            "n_layers": 30, "n_refiner_layers": 2, "qk_norm": True, "n_heads": 30, "n_kv_heads": 30,
            "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
            "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
        },
        2560, (16, 128, 128),
    ),
    "Qwen-Image": (
        "QwenImage", {"image_model": "qwen_image", "in_channels": 64, "num_layers": 60}, 3584, (16, 128, 128),
    ),
    "Klein 4B": ("Flux2", {"hidden_size": 3072, "num_heads": 24, "depth": 5, "depth_single_blocks": 20}, 7680,
                 (128, 64, 64)),
    "Klein 9B": ("Flux2", {"hidden_size": 4096, "num_heads": 32, "depth": 8, "depth_single_blocks": 24}, 12288,
                 (128, 64, 64)),
    "Krea 2": ("Krea2", {"image_model": "krea2"}, 12 * 2560, (16, 128, 128)),
}  # fmt: skip
"""{model: the host's configuration of it, its sizes, the width of its words, and its latents of 1024 px}."""
FLUX_2 = {
    "image_model": "flux2", "axes_dim": [32, 32, 32, 32], "mlp_ratio": 3.0, "theta": 2000, "in_channels": 128,
    "out_channels": 128, "global_modulation": True, "mlp_silu_act": True, "qkv_bias": False, "ops_bias": False,
    "txt_ids_dims": [3], "patch_size": 1, "vec_in_dim": None, "guidance_embed": False,
}  # fmt: skip


def beside_a_step(parts: Parts, checkpointing: bool) -> dict[str, int]:
    """The bytes that a step of a tiny model allocates beside its weights, counted and real, by the same kernels."""
    options = TrainOptions(rank=4)
    with HostModel(*parts, "").borrowed() as base:
        HostLora().attach(base, options)
        told = base.encode_prompts([SHORT])
        z, sigma = torch.randn(2, 16, 32, 32), torch.tensor([0.5, 0.7])
        rows = {PROMPT: told[PROMPT].expand(2)}
        if checkpointing:
            base.enable_checkpointing()
        counted = footprint._peak(base, z, sigma, rows)
        base.predict(z, sigma, rows)
        assert base.branch is not None
        base.branch.attach()
        weights = [*parts[0].model.parameters(), *parts[0].model.buffers(), *base.branch.parameters()]
        with LiveMemory(weights) as memory:
            kernels = {"optimized_attention_override": footprint._fused}
            predicted(base, z, sigma, rows, kernels).square().mean().backward()
        gradients = sum(weight.nbytes for weight in base.branch.parameters())
        return {"counted": counted, "real": memory.peak - gradients}


def hollow(name: str, dtype: torch.dtype) -> HostModel:
    """A full-size model on the meta device, whose layers are of a dtype and compute in bf16."""
    kind, sizes, width, _ = SIZES[name]
    if kind == "Flux2":
        sizes = {**FLUX_2, **sizes, "context_in_dim": width}
    configuration = getattr(comfy.supported_models, kind)(sizes)
    configuration.set_inference_dtype(dtype, None if dtype == torch.bfloat16 else torch.bfloat16)
    network = configuration.get_model({}, "", device="meta")
    patcher = comfy.model_patcher.ModelPatcher(network, torch.device("cpu"), torch.device("cpu"))
    base = HostModel(patcher, None, None, "")
    base.prompts = [{"cross_attn": torch.zeros(1, TEXT, width)}]
    return base


def in_gigabytes(counted: HostFootprint) -> dict[str, float]:
    """Of a footprint."""
    return {"weights": counted.weights / 1e9, "resident": counted.resident / 1e9, "least": counted.least / 1e9,
            "step": counted.step / 1e9, "adapter": counted.adapter / 1e9, "blocks": counted.blocks / 1e9}  # fmt: skip


def full_size(name: str, dtype: torch.dtype) -> dict[str, Any]:
    """The footprints of a LoRA of rank 16 at 1024 px, by the way."""
    options, latents = TrainOptions(rank=16), SIZES[name][3]
    with hollow(name, dtype).borrowed() as base:
        HostLora().attach(base, options)
        z, sigma, told = torch.zeros(1, *latents), torch.tensor([0.5]), {PROMPT: torch.tensor([0])}
        kept = count(base, options, z, sigma, told)
        base.enable_checkpointing()
        return {"kept": in_gigabytes(kept), "recomputed": in_gigabytes(count(base, options, z, sigma, told))}


def plans(parts: Parts) -> dict[str, dict[str, Any]]:
    """{budget: the plan of a tiny model}: budgets that leave room for everything, for recomputed activations, for a
    block's weights and hardly anything else, and for less.
    """
    options, z, sigma = TrainOptions(rank=4), torch.randn(1, 16, 32, 32), torch.tensor([0.5])
    found = {}
    for name in ("everything", "recomputed", "least", "less"):
        with HostModel(*parts, "").borrowed() as base:
            HostLora().attach(base, options)
            told = base.encode_prompts([SHORT])
            whole = needed(count(base, options, z, sigma, told).resident)
            base.enable_checkpointing()
            counted = count(base, options, z, sigma, told)
        budgets = {"everything": whole, "recomputed": whole - 1, "least": needed(counted.least) + 1, "less": 1000}
        with HostModel(*parts, "").borrowed() as base:
            HostLora().attach(base, options)
            told = base.encode_prompts([SHORT])
            plan = plan_step(base, options, z, sigma, told, budgets[name])
        found[name] = {"checkpointing": plan.checkpointing, "fits": plan.fits, "text": plan.text,
                       "resident fits": needed(counted.resident) <= budgets[name]}  # fmt: skip
    return found


def figures() -> dict[str, Any]:
    """Of tiny models beside real steps, and plans for four budgets."""
    tiny = {"sd3": with_words(sd3()), "qwen": with_words(qwen())}
    ways = {"kept": False, "recomputed": True}
    return {
        "steps": {
            f"{name} {way}": beside_a_step(parts, on) for name, parts in tiny.items() for way, on in ways.items()
        },
        "plans": plans(with_words(flux(blocks=6))),
    }
