"""What the explanation of a run needs to know beside its request: the base, the photos' faults, device and versions."""

from __future__ import annotations

from typing import Any

import torch

from ..model.base import Base, Model
from ..runs.request import Request
from ..runs.versions import versions
from ..subject.photo_faults import OF_BACKGROUND
from ..subject.photo_report import fault_counts
from ..subject.subject import Subject


def circumstances(base: Model, request: Request) -> dict[str, Any]:
    """The fields of the run's record, ready for JSON."""
    device = base.device
    native = type(base).stated_resolution(base.source, base.prediction) if isinstance(base, Base) else None
    return {
        "native_resolution": native,
        "photo_faults": _faults_of_what_is_trained(request.subject),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "versions": versions(),
    }


def _faults_of_what_is_trained(subject: Subject) -> dict[str, int]:
    """{name of a fault: how many photos have it}; without that of one background, where others are trained on."""
    redrawn = any(one.redrawn for one in subject.each)
    counts = fault_counts(subject.all_photos)
    return {name: count for name, count in counts.items() if not (redrawn and name == OF_BACKGROUND)}
