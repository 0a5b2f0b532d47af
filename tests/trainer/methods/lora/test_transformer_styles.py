"""LoRAs of today's models under the keys that other trainers write, read to go on from: the same update of each layer.

The keys are those of ai-toolkit 27a03a91, OneTrainer 23df3832 (its three formats), musubi-tuner and sd-scripts as of
August 2026, and diffusers 0.42.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.trainer.files.safetensors import CheckpointError
from dreambooth_nodes.trainer.methods.lora.transformer_file import read_transformer_lora
from dreambooth_nodes.trainer.methods.lora.transformer_names import TRANSFORMER, diffusers_names

WIDE, RANK, ALPHA = 8, 2, 3.0
Sizes = dict[str, tuple[int, int]]


def of(*layers: str, outputs: int = WIDE) -> Sizes:
    return dict.fromkeys(layers, (WIDE, outputs))


LAYERS: dict[str, Sizes] = {
    "lumina2": {
        **of("layers.0.attention.qkv", outputs=3 * WIDE),
        **of("layers.0.attention.out", *(f"layers.0.feed_forward.w{number}" for number in (1, 2, 3))),
    },
    "flux2": {
        **of("double_blocks.0.img_attn.qkv", "double_blocks.0.txt_attn.qkv", outputs=3 * WIDE),
        **of("double_blocks.0.img_attn.proj", "double_blocks.0.txt_attn.proj", "double_blocks.0.img_mlp.0",
             "double_blocks.0.txt_mlp.2", "single_blocks.0.linear1", "single_blocks.0.linear2"),
    },
    "krea2": of(*(f"blocks.0.attn.{name}" for name in ("wq", "wk", "wv", "wo", "gate")), "blocks.0.mlp.down",
                "txtfusion.layerwise_blocks.0.attn.wq"),
    "anima": of("blocks.0.self_attn.q_proj", "blocks.0.cross_attn.output_proj", "blocks.0.mlp.layer1"),
    "qwen_image": of("transformer_blocks.0.attn.to_q", "transformer_blocks.0.attn.to_out.0",
                     "transformer_blocks.0.img_mlp.net.0.proj"),
}  # fmt: skip
"""{ComfyUI's name of an architecture: some of its layers, with their inputs and outputs}."""


@dataclass(frozen=True)
class Tool:
    """How a trainer writes a LoRA. makers: the architectures whose layers it names as their makers do, and not as
    diffusers does. flat: whether a dot in a name is "_". ends: of the two matrices' keys. alpha: whether it is written.
    """

    prefix: str
    makers: frozenset[str]
    flat: bool
    ends: tuple[str, str]
    alpha: bool


DOWN_UP, A_B = (".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight")
ALL = frozenset(LAYERS)
TOOLS = {
    "ai-toolkit": Tool("diffusion_model.", ALL - {"lumina2"}, flat=False, ends=A_B, alpha=False),
    "OneTrainer, its own": Tool("transformer.", frozenset(), flat=False, ends=DOWN_UP, alpha=True),
    "OneTrainer, for ComfyUI": Tool("diffusion_model.", ALL, flat=False, ends=DOWN_UP, alpha=True),
    "OneTrainer, as kohya's": Tool("lora_unet_", ALL, flat=True, ends=DOWN_UP, alpha=True),
    "OneTrainer, older": Tool("lora_transformer_", frozenset(), flat=True, ends=DOWN_UP, alpha=True),
    "musubi-tuner and sd-scripts": Tool("lora_unet_", ALL - {"lumina2"}, flat=True, ends=DOWN_UP, alpha=True),
    "diffusers": Tool("transformer.", frozenset(), flat=False, ends=A_B, alpha=False),
    "peft": Tool("base_model.model.", frozenset(), flat=False, ends=A_B, alpha=False),
}  # fmt: skip


def written(tool: Tool, architecture: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A tool's file of random LoRAs, and {layer: its update} that it means."""
    source = torch.Generator().manual_seed(1)
    tensors, updates = dict[str, Tensor](), dict[str, Tensor]()
    for layer, (inputs, outputs) in LAYERS[architecture].items():
        theirs = [name.removeprefix(TRANSFORMER) for name in diffusers_names(architecture, layer)]
        names = [layer] if architecture in tool.makers else theirs
        parts = []
        for name in names:
            down = torch.randn(RANK, inputs, generator=source)
            up = torch.randn(outputs // len(names), RANK, generator=source)
            key = tool.prefix + (name.replace(".", "_") if tool.flat else name)
            tensors |= {key + tool.ends[0]: down, key + tool.ends[1]: up}
            if tool.alpha:
                tensors[f"{key}.alpha"] = torch.tensor(ALPHA)
            parts.append(up @ down * (ALPHA / RANK if tool.alpha else 1))
        updates[layer] = torch.cat(parts)
    return tensors, updates


@pytest.mark.parametrize("architecture", LAYERS)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_of_another_trainer_means_the_same_updates(tool: str, architecture: str) -> None:
    """Layers of q, k and v that were trained apart become one of three times the rank."""
    tensors, updates = written(TOOLS[tool], architecture)
    found = read_transformer_lora(tensors, LAYERS[architecture], architecture, "theirs.safetensors")
    assert found.keys() == updates.keys()
    for layer, wanted in updates.items():
        one = found[layer]
        torch.testing.assert_close(one.up @ one.down * (one.alpha / one.rank), wanted, msg=layer)
        apart = architecture not in TOOLS[tool].makers and len(diffusers_names(architecture, layer)) > 1
        assert one.rank == (3 * RANK if apart else RANK)


def test_layers_that_are_not_trained_here_are_named() -> None:
    """musubi-tuner trains all of Krea 2's linear layers by default."""
    tensors, _ = written(TOOLS["musubi-tuner and sd-scripts"], "krea2")
    beside = {f"lora_unet_tmlp_0{end}": torch.zeros(RANK, RANK) for end in DOWN_UP}
    with pytest.raises(CheckpointError, match=r"not trained by these targets.*lora_unet_tmlp_0"):
        read_transformer_lora({**tensors, **beside}, LAYERS["krea2"], "krea2", "theirs.safetensors")
