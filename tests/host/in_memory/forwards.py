"""Forwards of several prompts, and gradients with recomputed activations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.nodes.host_model.targets import target_layers
from dreambooth_nodes.tests.host.in_memory.models import LONG, SHORT, Parts, flux, sd3, with_words
from dreambooth_nodes.trainer.options import TrainOptions


def forwards(parts: Parts, size: tuple[int, ...] = (16, 8, 8)) -> dict[str, float]:
    """Batches of prompts of one and of several lengths beside one forward each; the relative distance."""
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        numbers = base.encode_prompts([SHORT, LONG])[PROMPT]
        z, sigma = torch.randn(3, *size), torch.tensor([0.2, 0.5, 0.9])
        rows = numbers[[0, 1, 0]]
        whole = base.predict(z, sigma, {PROMPT: rows})
        apart = torch.cat([base.predict(z[i : i + 1], sigma[i : i + 1], {PROMPT: rows[i : i + 1]}) for i in range(3)])
        lengths = {base.prompts[number]["cross_attn"].shape[1] for number in numbers.tolist()}
        return {"lengths": len(lengths), "distance": float((whole - apart).norm() / apart.norm())}


def branch_gradients(
    parts: Parts, size: tuple[int, ...] = (16, 8, 8), checkpointing: bool = False, dropout: bool = False
) -> torch.Tensor:
    """The branch's gradients for one noisy latent, in one row. dropout: of a half of the outputs of its layers."""
    with HostModel(*parts, "").borrowed() as base:
        HostLora().attach(base, TrainOptions(rank=4))
        assert base.branch is not None
        with torch.no_grad():
            for update in base.branch.by_name.values():
                update.up.normal_(generator=torch.Generator().manual_seed(0))
        if checkpointing:
            base.enable_checkpointing()
        dropped = [
            layer.register_forward_hook(lambda module, inputs, output: F.dropout(output))
            for layer in target_layers(base.denoiser, "transformer").values()
            if dropout
        ]
        prompt = base.encode_prompts([SHORT])
        z = torch.randn(1, *size, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(0)
        base.predict(z, torch.tensor([0.5]), prompt).square().mean().backward()
        for hook in dropped:
            hook.remove()
        grads = [weight.grad for weight in base.branch.parameters()]
        assert all(grad is not None for grad in grads)
        return torch.cat([grad.flatten() for grad in grads if grad is not None])


def gradients(parts: Parts, size: tuple[int, ...] = (16, 8, 8), dropout: bool = False) -> dict[str, float]:
    """The branch's gradients with recomputed activations beside those without."""
    kept, recomputed = (branch_gradients(parts, size, checkpointing, dropout) for checkpointing in (False, True))
    return {"norm": float(kept.norm()), "distance": float((kept - recomputed).norm())}


def figures() -> dict[str, Any]:
    """Forwards of SD3, gradients of SD3 and FLUX."""
    stable = with_words(sd3())
    return {
        "forwards": forwards(stable),
        "gradients": gradients(stable),
        "with dropout": gradients(stable, dropout=True),
        "in place": gradients(with_words(flux())),
    }
