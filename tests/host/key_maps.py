"""Run inside ComfyUI's folder: what its own loaders make of a checkpoint's names, on the meta device.

stdin: a JSON object {family: {tensor name: shape}}. stdout: {family: {"lora": keys that its LoRA loader knows,
"missing": tensors that its model lacks, "unused": tensors of the checkpoint's denoiser and text encoders that nothing
took}}.
"""

from __future__ import annotations

import json
import sys

import comfy.options

# Without it the host takes no --cpu, and asks for a GPU when it is imported.
comfy.options.enable_args_parsing()

import comfy.lora  # noqa: E402
import comfy.model_detection  # noqa: E402
import torch  # noqa: E402

DENOISER = "model.diffusion_model."
TEXT = ("cond_stage_model.", "conditioner.")
# The host looks into this one for the prediction type.
LOOKED_INTO = f"{DENOISER}output_blocks.11.1.transformer_blocks.0.norm1.bias"


def tensors(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    found = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    if LOOKED_INTO in found:
        found[LOOKED_INTO] = torch.zeros(shapes[LOOKED_INTO])
    return found


def key_maps(shapes: dict[str, list[int]]) -> dict[str, list[str]]:
    file = tensors(shapes)
    config = comfy.model_detection.model_config_from_unet(file, DENOISER)
    model = config.get_model(file, DENOISER, device="meta")
    target = config.clip_target(file)
    clip = target.clip(device="meta", dtype=None, model_options={}, **target.params)
    lora = comfy.lora.model_lora_keys_clip(clip, comfy.lora.model_lora_keys_unet(model, {}))
    denoiser = {name[len(DENOISER) :] for name in file if name.startswith(DENOISER)}
    text = set(config.process_clip_state_dict({name: t for name, t in file.items() if name.startswith(TEXT)}))
    wanted = set(model.diffusion_model.state_dict()), set(clip.state_dict())
    return {
        "lora": sorted(lora),
        "missing": sorted((wanted[0] - denoiser) | (wanted[1] - text)),
        "unused": sorted((denoiser - wanted[0]) | (text - wanted[1])),
    }


if __name__ == "__main__":
    json.dump({family: key_maps(shapes) for family, shapes in json.load(sys.stdin).items()}, sys.stdout)
