"""The optimizer and its learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import Schedule
from ..optimizers import OPTIMIZERS
from ..setting import field_of

setting = partial(field_of, "optimizer")


@dataclass(frozen=True, kw_only=True)
class OptimizerFields:
    """The optimizer and its learning rate. See `TrainOptions`."""

    learning_rate: float = setting(
        1e-4,
        "Of what is trained, above 0: about 1e-4 for lora, dora and lokr, 1e-3 for lidb, 5e-6 for full, 2e-3 for "
        "textual_inversion.",
        0,
        open_minimum=True,
        widget_maximum=1,
        step=1e-6,
    )
    text_encoder_learning_rate: float | None = setting(
        None, "Above 0; unset, the denoiser's.", 0, open_minimum=True, widget_maximum=1, step=1e-6
    )
    schedule: Schedule = setting("constant", "Of the learning rate.")
    warmup_steps: int = setting(0, "Steps over which the learning rate rises, 0 or more.", 0)
    max_grad_norm: float = setting(
        1.0, "Gradients longer than this are cut to it; above 0.", 0, open_minimum=True, widget_maximum=100
    )
    weight_decay: float = setting(1e-2, "Of the optimizer, 0 or more.", 0, widget_maximum=1)
    optimizer: str = setting(
        "adamw",
        "adamw keeps twice the weights' size beside them, adafactor next to nothing, adamw_8bit a quarter of adamw's, "
        "lion half of it; prodigy finds its learning rate itself; adamw_schedule_free needs no schedule. The last four "
        "are packages to install.",
        choices=tuple(OPTIMIZERS),
    )
