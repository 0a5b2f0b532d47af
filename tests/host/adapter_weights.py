"""Run inside ComfyUI's folder: what its own loader and adapters make of weights, without a model in memory.

stdin: a JSON list of {"shapes": {tensor name of a checkpoint: shape}, "weights": a file {kohya's name of a layer: its
weight}, "adapters": files}. Beside each adapter the patched weights are written, one file a strength, under the same
names. stdout: {adapter's file: keys that the loader did not read}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import comfy.options

# Without it the host takes no --cpu, and asks for a GPU when it is imported.
comfy.options.enable_args_parsing()

import comfy.lora  # noqa: E402
import comfy.model_detection  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

DENOISER = "model.diffusion_model."
# The host looks into this one for the prediction type.
LOOKED_INTO = f"{DENOISER}output_blocks.11.1.transformer_blocks.0.norm1.bias"
STRENGTHS = (0.5, 1.0)
OF_THE_LOADER = (".alpha", ".dora_scale")


def key_map(shapes: dict[str, list[int]]) -> dict[str, str]:
    """The names of layers in LoRA files that the host knows, of the checkpoint's model and text encoders."""
    file = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    if LOOKED_INTO in file:
        file[LOOKED_INTO] = torch.zeros(shapes[LOOKED_INTO])
    config = comfy.model_detection.model_config_from_unet(file, DENOISER)
    model = config.get_model(file, DENOISER, device="meta")
    target = config.clip_target(file)
    clip = target.clip(device="meta", dtype=None, model_options={}, **target.params)
    found: dict[str, str] = comfy.lora.model_lora_keys_clip(clip, comfy.lora.model_lora_keys_unet(model, {}))
    return found


def patched(adapter: str, weights: dict[str, torch.Tensor], keys: dict[str, str]) -> list[str]:
    """Write the patched weights; the keys that the loader left."""
    tensors = load_file(adapter)
    patches: dict[str, Any] = comfy.lora.load_lora(tensors, keys, log_missing=False)
    read = {key for patch in patches.values() for key in patch.loaded_keys}
    # The loader itself reads these, of every layer that it patches.
    read |= {key for key in tensors if key.endswith(OF_THE_LOADER) and keys.get(key.rpartition(".")[0]) in patches}
    for strength in STRENGTHS:
        after = {
            name: comfy.lora.calculate_weight([(strength, patches[keys[name]], 1.0, None, None)], weight.clone(), name)
            for name, weight in weights.items()
        }
        save_file({name: tensor.contiguous() for name, tensor in after.items()}, f"{adapter}.{strength}")
    return sorted(tensors.keys() - read)


def answer(asked: dict[str, Any]) -> dict[str, list[str]]:
    """For one checkpoint."""
    keys, weights = key_map(asked["shapes"]), load_file(Path(asked["weights"]))
    return {name: patched(name, weights, keys) for name in asked["adapters"]}


if __name__ == "__main__":
    json.dump({file: left for asked in json.load(sys.stdin) for file, left in answer(asked).items()}, sys.stdout)
