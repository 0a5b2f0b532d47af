"""Anima, FLUX.2, Krea 2 and Z-Image in the host beside diffusers' own classes with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.lora_files import beside_the_pipeline
from dreambooth_nodes.tests.host.in_memory.models import SHORT, Parts
from dreambooth_nodes.tests.host.tiny_sizes import ANIMA, KREA_2, WORDS, z_image_sizes
from dreambooth_nodes.trainer.methods.lora.transformer_names import ADAPTER

SIGMA = 0.4
WIDE = 1152
"""Of a Z-Image that diffusers' class can be."""


Answer = Callable[[Tensor, Tensor], Tensor]
"""The answer of a class of diffusers' for a noisy latent and a text, at SIGMA."""


def beside_diffusers(kind: str, parts: Parts, size: tuple[int, int, int]) -> dict[str, Any]:
    """The loss for one picture, noise and level, and that of diffusers' class; the relative distance of the answers,
    also with a LoRA in both.

    Of a Z-Image a wider one: diffusers' class is never narrower.
    """
    if kind == "z_image":
        parts = models.with_words(models.z_image(WIDE))
    source, sigma = torch.Generator().manual_seed(0), torch.tensor([SIGMA])
    x, eps = (torch.randn(1, *size, generator=source) for _ in range(2))
    weights = {name: weight.clone() for name, weight in parts[0].model.diffusion_model.state_dict().items()}
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        told, z = base.encode_prompts([SHORT]), base.noise_process.add_noise(x, eps, sigma)
        ours, target = base.predict(z, sigma, told), base.noise_process.target(x, eps, sigma)
        text = base.prompts[0]["cross_attn"].clone()
        model, answer = MODELS[kind](weights)
        theirs = answer(z, text)
        lora = beside_the_pipeline(kind, base, model, lambda: base.predict(z, sigma, told), lambda: answer(z, text))
    return {
        "files": lora,
        "ours": float((ours - target).square().mean()),
        # As its training scripts have it.
        "theirs": float((theirs - (eps - x)).square().mean()),
        "distance": float((ours - theirs).norm() / theirs.norm()),
    }


def flux2(weights: dict[str, Tensor]) -> tuple[Any, Answer]:
    """FLUX.2 by diffusers, told latents whose every position is a token."""
    from diffusers import Flux2Transformer2DModel
    from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers

    # The host's module says `weight` where files say `scale`.
    named = {name.replace("_norm.weight", "_norm.scale"): weight for name, weight in weights.items()}
    model = Flux2Transformer2DModel(
        num_layers=1, num_single_layers=1, num_attention_heads=1, joint_attention_dim=WORDS, guidance_embeds=False
    )
    model.load_state_dict(convert_flux2_transformer_checkpoint_to_diffusers(named))

    def answer(z: Tensor, text: Tensor) -> Tensor:
        height, width = z.shape[-2:]
        grid = torch.cartesian_prod(torch.tensor([0]), torch.arange(height), torch.arange(width), torch.tensor([0]))
        # As the host does it, which trains by the same.
        text = F.pad(text, (0, 0, 512 - text.shape[1], 0))
        words = torch.zeros(text.shape[1], 4, dtype=torch.long)
        words[:, 3] = torch.arange(text.shape[1])
        given = model(
            z.flatten(2).transpose(1, 2), text, torch.tensor([SIGMA]), img_ids=grid, txt_ids=words, return_dict=False
        )[0]  # fmt: skip
        return torch.as_tensor(given.transpose(1, 2).reshape(z.shape))

    return model, answer


def krea2(weights: dict[str, Tensor]) -> tuple[Any, Answer]:
    """Krea 2 by diffusers, told tokens of 2 x 2 positions."""
    from diffusers import Krea2Transformer2DModel
    from diffusers.loaders.single_file_utils import convert_krea2_transformer_checkpoint_to_diffusers

    named = convert_krea2_transformer_checkpoint_to_diffusers(dict(weights))
    layers = KREA_2["txtlayers"]
    model = Krea2Transformer2DModel(
        num_layers=1, num_attention_heads=KREA_2["heads"], num_key_value_heads=KREA_2["kvheads"],
        intermediate_size=len(named["transformer_blocks.0.ff.up.weight"]), text_hidden_dim=KREA_2["txtdim"],
        num_text_layers=layers, text_num_attention_heads=KREA_2["txtheads"],
        text_num_key_value_heads=KREA_2["txtkvheads"],
        text_intermediate_size=len(named["text_fusion.refiner_blocks.0.ff.up.weight"]),
    )  # fmt: skip
    model.load_state_dict(named)

    def answer(z: Tensor, text: Tensor) -> Tensor:
        _, channels, height, width = z.shape
        rows, columns = height // 2, width // 2
        packed = z.view(1, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, rows * columns, -1)
        grid = torch.cartesian_prod(torch.tensor([0]), torch.arange(rows), torch.arange(columns))
        places = torch.cat([torch.zeros(text.shape[1], 3, dtype=torch.long), grid])
        given = model(packed, text.unflatten(2, (layers, -1)), torch.tensor([SIGMA]), places, return_dict=False)[0]
        unpacked = given.view(1, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return torch.as_tensor(unpacked.reshape(z.shape))

    return model, answer


def z_image(weights: dict[str, Tensor]) -> tuple[Any, Answer]:
    """Z-Image by diffusers, which is told 1 − t and answers x − ε."""
    from diffusers import ZImageTransformer2DModel
    from diffusers.loaders.single_file_utils import convert_z_image_transformer_checkpoint_to_diffusers

    same = ("in_channels", "dim", "n_layers", "n_refiner_layers", "n_heads", "n_kv_heads", "qk_norm", "cap_feat_dim",
            "rope_theta", "axes_dims", "axes_lens")  # fmt: skip
    sizes = z_image_sizes(WIDE)
    model = ZImageTransformer2DModel(**{name: sizes[name] for name in same})
    model.load_state_dict(convert_z_image_transformer_checkpoint_to_diffusers(dict(weights)))

    def answer(z: Tensor, text: Tensor) -> Tensor:
        given = model([z[0].unsqueeze(1)], torch.tensor([1 - SIGMA]), [text[0]], return_dict=False)[0]
        return -torch.as_tensor(given[0]).reshape(z.shape)

    return model, answer


def anima(weights: dict[str, Tensor]) -> tuple[Any, Answer]:
    """Anima by diffusers, told a text that its part for texts has read."""
    from diffusers import CosmosTransformer3DModel
    from diffusers.loaders.single_file_utils import convert_cosmos_transformer_checkpoint_to_diffusers

    own = {name: weight for name, weight in weights.items() if not name.startswith(ADAPTER)}
    named = convert_cosmos_transformer_checkpoint_to_diffusers({f"net.{name}": one for name, one in own.items()})
    model = CosmosTransformer3DModel(
        num_attention_heads=ANIMA["num_heads"], num_layers=1, adaln_lora_dim=ANIMA["adaln_lora_dim"],
        text_embed_dim=WORDS, encoder_hidden_states_channels=WORDS, rope_scale=(1.0, 4.0, 4.0),
        extra_pos_embed_type=None,
    )  # fmt: skip
    model.load_state_dict(named)

    def answer(z: Tensor, text: Tensor) -> Tensor:
        mask = z.new_zeros(1, 1, *z.shape[-2:])
        given = model(z.unsqueeze(2), torch.tensor([SIGMA]), text, padding_mask=mask, return_dict=False)[0]
        return torch.as_tensor(given.reshape(z.shape))

    return model, answer


MODELS: dict[str, Callable[[dict[str, Tensor]], tuple[Any, Answer]]] = {
    "flux2": flux2,
    "krea2": krea2,
    "z_image": z_image,
    "anima": anima,
}
"""{kind: diffusers' class with the host's weights, and its answer}."""
