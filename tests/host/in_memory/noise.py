"""The noise process of every class of `model_sampling`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import comfy.model_sampling
import torch

from dreambooth_nodes.nodes.host_model.noise import CONTINUOUS, FLOWS, PREDICTIONS, TABLES, noise_of


def samplings() -> Iterator[tuple[str, Any]]:
    """(its classes, object) of every combination of a schedule and an answer that the host has."""
    kinds = comfy.model_sampling
    for prediction, schedule in itertools.product(PREDICTIONS, (*TABLES, *FLOWS, *CONTINUOUS)):
        classes = [getattr(kinds, name, None) for name in (schedule, prediction)]
        if None not in classes:
            made = type("ModelSampling", tuple(classes), {})()  # type: ignore[arg-type]
            # As the host's own models have it where they need it.
            made.sigma_data = getattr(made, "sigma_data", 1.0)
            yield f"{schedule} {prediction}", made


def noise() -> dict[str, dict[str, float]]:
    """{classes: how far the target is from denoising to x, and an inverted answer from itself; the levels}."""
    found = {}
    for name, made in samplings():
        process = noise_of(made)
        source = torch.Generator().manual_seed(0)
        x, eps, output = (torch.randn(64, 4, 8, 8, generator=source) for _ in range(3))
        levels = process.draw_timesteps(torch.rand(64, generator=source))
        z = process.add_noise(x, eps, levels)
        denoised = made.calculate_denoised(levels, process.target(x, eps, levels), z)
        inverted = process.answer(made.calculate_denoised(levels, output, z), z, levels)
        table = made.sigmas
        found[name] = {
            "target": float((denoised - x).abs().max()),
            "answer": float(((inverted - output).flatten(1).norm(dim=1) / output.flatten(1).norm(dim=1)).max()),
            "outside": float(((levels < table.min()) | (levels > table.max())).sum()),
            "off the table": float(sum(level not in table for level in levels)),
            "finite": float(torch.isfinite(process.signal_to_noise(levels)).all()),
        }
    return found


def densities() -> dict[str, float]:
    """The levels of a flow of shift 3, by the density of its kind of model."""
    kind = type("ModelSampling", (comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST), {})
    flow = kind()
    flow.set_parameters(shift=3.0)
    u = (torch.arange(1000) + 0.5) / 1000
    plain, sd3_levels = noise_of(flow).draw_timesteps(u), noise_of(flow, "SD3").draw_timesteps(u)
    # The shift taken back: t = σ / (3 − 2σ).
    logits = (sd3_levels / (3 - 2 * sd3_levels)).logit()
    # No level is below the schedule's least.
    expected = (3 * u / (1 + 2 * u)).clamp(min=float(flow.sigma_min))
    return {"shifted": float((plain - expected).abs().max()),
            "mean of the logits": float(logits.mean()), "their deviation": float(logits.std())}  # fmt: skip


def figures() -> dict[str, Any]:
    """Targets and levels of every combination, and the density of a flow's levels."""
    return {"noise": noise(), "densities": densities()}
