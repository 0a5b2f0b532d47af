"""The noise process of every class of `model_sampling`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import comfy.model_sampling
import torch
from torch import Tensor

from dreambooth_nodes.nodes.host_model.noise import CONTINUOUS, FLOWS, PREDICTIONS, TABLES, HostNoise, noise_of


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


def refused() -> dict[str, str]:
    """{a class that is not known: what is said of it}."""
    kinds, found = comfy.model_sampling, {}

    class OddSchedule(kinds.ModelSamplingDiscrete, kinds.EPS):  # type: ignore[misc, name-defined]
        def sigma(self, timestep: Tensor) -> Tensor:
            return timestep

    from_image = type("FromImage", (kinds.ModelSamplingDiscrete, kinds.IMG_TO_IMG), {})
    for name, kind in {"IMG_TO_IMG": from_image, "OddSchedule": OddSchedule}.items():
        try:
            noise_of(kind())
        except ValueError as error:
            found[name] = str(error)
    return found


def densities() -> dict[str, dict[str, float]]:
    """{density of a flow of shift 3: the distance of its levels' distribution function from u at its u-quantiles}."""
    flow = type("ModelSampling", (comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST), {})()
    flow.set_parameters(shift=3.0)
    u = (torch.arange(1000) + 0.5) / 1000
    # Latents of 256 and of 4096 tokens of 2 x 2 positions.
    small, large = torch.Size((16, 32, 32)), torch.Size((16, 128, 128))
    expected: dict[str, tuple[HostNoise, torch.Size | None, Callable[[Tensor], Tensor]]] = {
        "uniform": (noise_of(flow).with_density("uniform"), None, lambda level: level),
        "shifted": (noise_of(flow), None, lambda level: unshifted(level, 3)),
        "logit_normal": (noise_of(flow, "SD3"), None, lambda level: normal_share(unshifted(level, 3).logit())),
        "256 tokens": (noise_of(flow, "Flux2"), small, lambda level: unshifted(level, math.exp(0.5))),
        "4096 tokens": (noise_of(flow, "Krea2"), large, for_4096_tokens),
        "4096 tokens of one position": (noise_of(flow, "Flux2", 1), torch.Size((128, 64, 64)), for_4096_tokens),
    }
    least = float(flow.sigma_min)
    found = {}
    for name, (process, size, share) in expected.items():
        levels = process.draw_timesteps(u, size)
        # No level is below the schedule's least.
        inside = levels > least
        found[name] = {
            "distance": float((share(levels.double()) - u)[inside].abs().max()),
            "clamped": float((~inside).float().mean()),
        }
    return found


def unshifted(level: Tensor, shift: float) -> Tensor:
    """t of the level shift·t / (1 + (shift − 1)·t)."""
    return level / (shift - (shift - 1) * level)


def for_4096_tokens(level: Tensor) -> Tensor:
    """t of a level that is shifted for 4096 tokens."""
    return unshifted(level, math.exp(1.15))


def normal_share(x: Tensor) -> Tensor:
    """The standard normal distribution function."""
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def figures() -> dict[str, Any]:
    """Targets and levels of every combination, the density of a flow's levels, and what is refused."""
    return {"noise": noise(), "densities": densities(), "refused": refused()}
