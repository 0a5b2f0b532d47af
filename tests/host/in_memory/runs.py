"""Losses of runs with samples, stops and resumes."""

from __future__ import annotations

import itertools
from typing import Any

from dreambooth_nodes.tests.host.in_memory.models import Parts, losses, new_store, sd3, trained, with_words


def same_samples(parts: Parts) -> dict[str, Any]:
    """Losses of runs with and without sample pictures, and of one that stopped and went on."""
    plain = losses(trained(parts))
    store, counted = new_store(), itertools.count()
    stopped = losses(trained(parts, store, stop=lambda: next(counted) > 5))
    return {"plain": plain, "with samples": losses(trained(parts, sample_count=1, sample_every=2)),
            "stopped": stopped, "resumed": losses(trained(parts, store)), "anew": losses(trained(parts))}  # fmt: skip


def figures() -> dict[str, Any]:
    """Runs of SD3."""
    return same_samples(with_words(sd3()))
