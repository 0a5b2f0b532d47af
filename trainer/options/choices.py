"""The allowed values of the options that are choices."""

from __future__ import annotations

from typing import Literal

MethodName = Literal["full", "lora", "textual_inversion", "dora", "lokr", "lidb"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]
Contexts = Literal["object", "style", "plain"]
Targets = Literal["attention", "transformer", "transformer_and_resnet"]
Density = Literal["auto", "uniform", "logit_normal", "shifted", "shifted_by_tokens"]
TrainedWeights = Literal["fp32", "bf16"]
PriorName = Literal[
    "class images", "compare with the base", "stay close to the base", "stay close to the base, by factors", "off"
]
CaptionTrigger = Literal["before the caption", "as the first tag", "for the class noun", "not at all"]
Memory = Literal["auto", "off", "8 GB", "12 GB", "16 GB", "24 GB"]
ADAPTERS: tuple[MethodName, ...] = ("lora", "dora", "lokr", "lidb")
"""The methods whose results hosts load as LoRAs, into the weights of the base that they were trained from."""
READ_THE_BASE: tuple[MethodName, ...] = ("full", "dora")
"""The methods that compute with the base's own weights in every step, which therefore are not kept in 8 bits."""
WORD_METHODS: tuple[MethodName, ...] = ("textual_inversion",)
"""The methods that learn a new word."""
