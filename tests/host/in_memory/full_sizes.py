"""The memory of training steps of today's models at full size, counted on the meta device: no weights are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import comfy.ldm.anima.model  # type: ignore[import-not-found, unused-ignore]
import comfy.ldm.flux.model
import comfy.ldm.krea2.model  # type: ignore[import-not-found, unused-ignore]
import comfy.ldm.lumina.model
import comfy.ldm.qwen_image.model
import comfy.model_detection
import comfy.model_patcher
import comfy.ops
import torch
from torch import nn

from dreambooth_nodes.nodes.host_model.footprint import count
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.nodes.host_model.plan import needed, plan_of, resident_weights
from dreambooth_nodes.trainer.model.source import META
from dreambooth_nodes.trainer.options import TrainOptions

SIDE, RANK, GB = 1024, 16, 1e9
FLUX2 = {
    "in_channels": 128, "out_channels": 128, "vec_in_dim": None, "mlp_ratio": 3.0, "axes_dim": [32, 32, 32, 32],
    "theta": 2000, "patch_size": 1, "qkv_bias": False, "guidance_embed": False, "global_modulation": True,
    "mlp_silu_act": True, "ops_bias": False, "txt_ids_dims": [3],
}  # fmt: skip
Z_IMAGE = {
    "patch_size": 2, "in_channels": 16, "dim": 3840, "n_layers": 30, "n_refiner_layers": 2, "n_heads": 30,
    "n_kv_heads": 30, "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
    "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0, "pad_tokens_multiple": 32,
    "qk_norm": True, "cap_feat_dim": 2560,
}  # fmt: skip
ANIMA = {
    "max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16, "patch_spatial": 2,
    "patch_temporal": 1, "model_channels": 2048, "num_blocks": 28, "num_heads": 16, "concat_padding_mask": True,
    "crossattn_emb_channels": 1024, "pos_emb_cls": "rope3d", "pos_emb_learnable": False,
    "pos_emb_interpolation": "crop", "min_fps": 1, "max_fps": 30, "use_adaln_lora": True, "adaln_lora_dim": 256,
    "rope_h_extrapolation_ratio": 4.0, "rope_w_extrapolation_ratio": 4.0, "rope_t_extrapolation_ratio": 1.0,
    "extra_per_block_abs_pos_emb": False, "rope_enable_fps_modulation": False, "image_model": "anima",
}  # fmt: skip


@dataclass(frozen=True)
class FullSize:
    """A model at full size. network: the host's class of its denoiser; sizes: what that is made of. words: the length
    of a prompt's embeddings, and their width. budget: the GB that are free. ids: of T5, beside the embeddings.
    """

    network: Callable[..., nn.Module]
    sizes: Mapping[str, Any]
    words: tuple[int, int]
    budget: float
    ids: int = 0

    def told(self) -> dict[str, Any]:
        """What the host's text encoder says of a prompt, of zeros."""
        ids = {"t5xxl_ids": torch.zeros(self.ids, dtype=torch.long), "t5xxl_weights": torch.ones(self.ids)}
        return {"cross_attn": torch.zeros(1, *self.words), **(ids if self.ids else {})}


def _klein(width: int, double: int, single: int, told: int, budget: float) -> FullSize:
    sizes = {**FLUX2, "hidden_size": width, "num_heads": width // 128, "depth": double, "depth_single_blocks": single,
             "context_in_dim": told}  # fmt: skip
    return FullSize(comfy.ldm.flux.model.Flux, sizes, (512, told), budget)


QWEN = {"in_channels": 64, "num_layers": 60, "attention_head_dim": 128, "num_attention_heads": 24,
        "joint_attention_dim": 3584}  # fmt: skip
MODELS: dict[str, FullSize] = {
    "Z-Image": FullSize(comfy.ldm.lumina.model.NextDiT, Z_IMAGE, (64, 2560), 11),
    "FLUX.2 Klein 4B": _klein(3072, 5, 20, 7680, 11),
    "FLUX.2 Klein 9B": _klein(4096, 8, 24, 12288, 15),
    "Krea 2": FullSize(comfy.ldm.krea2.model.SingleStreamDiT, {}, (64, 12 * 2560), 15),
    "Anima": FullSize(comfy.ldm.anima.model.Anima, ANIMA, (64, 1024), 11, ids=64),
    "Qwen-Image": FullSize(comfy.ldm.qwen_image.model.QwenImageTransformer2DModel, QWEN, (64, 3584), 23),
}


def on_meta(model: FullSize, dtype: torch.dtype) -> Any:
    """The host's MODEL of this size, detected by the host from shapes, without weights. dtype: of its weights."""
    made = model.network(**model.sizes, dtype=dtype, device=META, operations=comfy.ops.manual_cast)
    config = comfy.model_detection.model_config_from_unet(made.state_dict(), "")
    computed = torch.bfloat16
    config.set_inference_dtype(dtype, None if dtype == computed else computed, device=META)
    network = config.get_model(made.state_dict(), "", device=META)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(network, load_device=cpu, offload_device=cpu)


def planned(model: FullSize, dtype: torch.dtype, budget: float) -> dict[str, Any]:
    """The count of a step with one picture, in GB, and what the node says of it for so many free GB."""
    with HostModel(on_meta(model, dtype), None, None, "").borrowed() as base:
        options = TrainOptions(rank=RANK)
        HostLora().attach(base, options)
        base.prompts = [model.told()]
        positions = SIDE // base.pixels_per_position
        channels = base.model.get_model_object("latent_format").latent_channels
        noisy = torch.zeros(1, channels, positions, positions)
        base.enable_checkpointing()
        counted = count(base, options, noisy, torch.tensor([0.5]), {PROMPT: torch.tensor([0])})
        plan = plan_of(base, counted, noisy, int(budget * GB))
    parts = {name: value / GB for name, value in asdict(counted).items()}
    needs = {"all": needed(counted.resident) / GB, "least": needed(counted.least) / GB}
    stay = resident_weights(counted, int(budget * GB)) / GB
    return {**parts, **needs, "budget": budget, "stay": stay, "fits": plan.fits, "said": plan.text}


def figures() -> dict[str, dict[str, Any]]:
    """{"model, bits": its figures} for the memory that a card of the issue's size leaves."""
    return {
        f"{name}, {bits}": planned(model, dtype, model.budget)
        for name, model in MODELS.items()
        for bits, dtype in (("bf16", torch.bfloat16), ("fp8", torch.float8_e4m3fn))
    }
