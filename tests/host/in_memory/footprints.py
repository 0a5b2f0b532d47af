"""The memory of training steps, counted on the meta device: of tiny models beside real steps."""

from __future__ import annotations

from typing import Any

import torch

from dreambooth_nodes.nodes.host_model import footprint
from dreambooth_nodes.nodes.host_model.footprint import count
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.nodes.host_model.plan import needed, plan_step
from dreambooth_nodes.nodes.host_model.prediction import predicted
from dreambooth_nodes.tests.host.in_memory.models import SHORT, Parts, flux, qwen, sd3, with_words
from dreambooth_nodes.tests.host.in_memory.quantised import plain
from dreambooth_nodes.trainer.memory.meta_execution import LiveMemory
from dreambooth_nodes.trainer.options import TrainOptions


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


def plans(parts: Parts) -> dict[str, dict[str, Any]]:
    """{budget: the plan of a tiny model}: budgets that leave room for everything, for recomputed activations, for a
    block's weights and hardly anything else, and for less.
    """
    options, z, sigma = TrainOptions(rank=4), torch.randn(1, 16, 32, 32), torch.tensor([0.5])
    with HostModel(*parts, "").borrowed() as base:
        HostLora().attach(base, options)
        told = base.encode_prompts([SHORT])
        whole = needed(count(base, options, z, sigma, told).resident)
        base.enable_checkpointing()
        counted = count(base, options, z, sigma, told)
    budgets = {"everything": whole, "recomputed": whole - 1, "least": needed(counted.least) + 1, "less": 1000}
    found = {}
    for name, budget in budgets.items():
        with HostModel(*parts, "").borrowed() as base:
            HostLora().attach(base, options)
            told = base.encode_prompts([SHORT])
            plan = plan_step(base, options, z, sigma, told, budget)
        found[name] = {"checkpointing": plan.checkpointing, "fits": plan.fits, "text": plan.text,
                       "resident fits": needed(counted.resident) <= budget}  # fmt: skip
    return found


def figures() -> dict[str, Any]:
    """Of tiny models beside real steps, and plans for four budgets."""
    tiny = {"sd3": with_words(sd3()), "qwen": with_words(qwen()), "sd3 in 8 bits": with_words(plain())}
    ways = {"kept": False, "recomputed": True}
    return {
        "steps": {
            f"{name} {way}": beside_a_step(parts, on) for name, parts in tiny.items() for way, on in ways.items()
        },
        "plans": plans(with_words(flux(blocks=6))),
    }
