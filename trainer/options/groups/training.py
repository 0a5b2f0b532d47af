"""What is trained, how long, on which loss and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import Density, MethodName, PriorName
from ..setting import field_of

setting = partial(field_of, "training")


@dataclass(frozen=True, kw_only=True)
class TrainingFields:
    """What is trained, how long, on which loss and noise. See `TrainOptions`."""

    method: MethodName = setting(
        "lora",
        "lora: a small file. full: a whole checkpoint, as in the paper. textual_inversion: a new word, a few kB. dora: "
        "a LoRA with a magnitude for each input. lokr: a Kronecker product, the smallest file of many layers. lidb: a "
        "LoRA of rank 1 with 150 trained numbers a layer, which export also writes as a file of some kB.",
    )
    steps: int = setting(800, "Optimizer steps, 1 or more (the paper: about 1000).", 1)
    seed: int = setting(0, "Of every random draw, 0 or more.", 0)
    prior_weight: float = setting(1.0, "λ, 0 or more; 0 trains without the prior term.", 0, widget_maximum=10)
    prior: PriorName = setting(
        "class images",
        "What keeps the class: class images; or, without any, compare with the base: what it predicts for the class on "
        "the photos; stay close to the base: λ·‖Δ‖² of the weights' change, or of a LoRA's factors; off.",
        added_later=True,
    )
    batch_size: int = setting(
        1,
        "Instance images in a forward, 1 or more; as many prior images go with them.",
        1,
        widget_maximum=64,
    )
    accumulation: int = setting(
        1, "Forwards whose gradients are averaged into one step, 1 or more.", 1, widget_maximum=256
    )
    train_text_encoder: bool = setting(False, "Train the text encoder as well.")
    snr_gamma: float | None = setting(
        None,
        "γ of min-SNR weighting, above 0, often 5; unset, the paper's plain loss.",
        0,
        open_minimum=True,
        widget_maximum=100,
    )
    timestep_density: Density = setting(
        "auto",
        "Of the noise levels that a flow model is trained at. auto: as its makers train it; uniform; logit_normal: "
        "more in the middle, then the model's shift; shifted: by that alone; shifted_by_tokens: by the picture's size.",
    )
    ema_decay: float = setting(
        0.0,
        "Of a moving average of the trained weights, below 1, such as 0.99, which samples, scores and the result have. "
        "0: none.",
        0,
        maximum=0.9999,
        step=0.0001,
        added_later=True,
    )
    noise_offset: float = setting(
        0.0,
        "Strength of one more random value for each picture and channel, 0 or more, often 0.05 to 0.1: for pictures "
        "that are dark or bright all over. Flow models need none.",
        0,
        widget_maximum=1,
        added_later=True,
    )
    multires_noise_levels: int = setting(
        0,
        "Sizes at which noise is drawn, 0 to 10, often 6: for large shapes and for brightness. 0: white noise.",
        0,
        maximum=10,
        added_later=True,
    )
    multires_noise_discount: float = setting(
        0.3,
        "Strength of each of these sizes beside the next larger one, 0 to 1.",
        0,
        maximum=1,
        added_later=True,
    )
    noise_level: int = setting(
        0,
        "Of an upscaler alone: the level of the noise on the small pictures, 0 to 350; 0 is the least (σ = 0.01), as "
        "the paper lowers it for the subject's details.",
        0,
        maximum=350,
        added_later=True,
    )
