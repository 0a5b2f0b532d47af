"""The options of a training, validated when they are created. Each field's text states its unit and range."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..prompts import PromptTemplates
from .choices import (
    WORD_METHODS,
    CaptionTrigger,
    Contexts,
    Density,
    Memory,
    MethodName,
    Precision,
    PriorName,
    Schedule,
    Targets,
    TrainedWeights,
)
from .conflicts import require_compatible
from .optimizers import OPTIMIZERS, OptimizerKind
from .setting import OptionError as OptionError
from .setting import Setting, require, setting


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of one run; `Setting.text` documents each. Those that do not change the trained weights are not part
    of the run's key. Raises OptionError.
    """

    method: MethodName = setting(
        "lora",
        "training",
        "lora: a small file. full: a whole checkpoint, as in the paper. textual_inversion: a new word, a few kB. dora: "
        "a LoRA with a magnitude for each input. lokr: a Kronecker product, the smallest file of many layers. lidb: a "
        "LoRA of rank 1 with 150 trained numbers a layer, which export also writes as a file of some kB.",
    )
    steps: int = setting(800, "training", "Optimizer steps, 1 or more (the paper: about 1000).", 1)
    learning_rate: float = setting(
        1e-4,
        "optimizer",
        "Of what is trained, above 0: about 1e-4 for lora, dora and lokr, 1e-3 for lidb, 5e-6 for full, 2e-3 for "
        "textual_inversion.",
        0,
        open_minimum=True,
        widget_maximum=1,
        step=1e-6,
    )
    seed: int = setting(0, "training", "Of every random draw, 0 or more.", 0)
    prior_weight: float = setting(
        1.0, "training", "λ, 0 or more; 0 trains without the prior term.", 0, widget_maximum=10
    )
    prior: PriorName = setting(
        "class images",
        "training",
        "What keeps the class: class images; or, without any, compare with the base: what it predicts for the class on "
        "the photos; stay close to the base: λ·‖Δ‖² of the weights' change, or of a LoRA's factors; off.",
        added_later=True,
    )
    batch_size: int = setting(
        1,
        "training",
        "Instance images in a forward, 1 or more; as many prior images go with them.",
        1,
        widget_maximum=64,
    )
    accumulation: int = setting(
        1, "training", "Forwards whose gradients are averaged into one step, 1 or more.", 1, widget_maximum=256
    )
    rank: int = setting(16, "adapter", "Of the LoRA, 1 or more.", 1, widget_maximum=1024)
    alpha: float | None = setting(
        None,
        "adapter",
        "LoRA's scale is alpha / rank; unset, alpha is the rank.",
        0,
        open_minimum=True,
        widget_maximum=1024,
    )
    conv_rank: int = setting(
        0,
        "adapter",
        "lora, dora: the rank of 3 x 3 convolutions, at the same scale; 0: as the others. With targets "
        "transformer_and_resnet.",
        0,
        widget_maximum=1024,
        methods=("lora", "dora"),
        added_later=True,
    )
    factor: int = setting(
        0,
        "adapter",
        "lokr: the smaller side of the Kronecker product's first factor, where it divides a layer's sides; the higher, "
        "the smaller the file. 0: as square as possible, the smallest.",
        0,
        widget_maximum=64,
        methods=("lokr",),
        added_later=True,
    )
    targets: Targets = setting(
        "transformer",
        "adapter",
        "Layers that get a LoRA: attention projections; all of the transformer; residual blocks too.",
    )
    vectors: int = setting(
        1,
        "word",
        "textual_inversion, word_share: token vectors of the new word, 1 to 8; more hold more detail.",
        1,
        maximum=8,
        methods=WORD_METHODS,
    )
    start_word: str = setting(
        "",
        "word",
        "textual_inversion, word_share: the word whose vectors it starts from. Empty: the class noun.",
        methods=WORD_METHODS,
    )
    word_share: float = setting(
        0.0,
        "word",
        "lora, dora, lokr, lidb, full: the share of the steps, at their start, in which the identifier is learned as a "
        "new word as well (pivotal tuning), 0 to 1, often 0.5; the result is two files. 0: none.",
        0,
        maximum=1,
        step=0.05,
        added_later=True,
    )
    word_learning_rate: float = setting(
        2e-3,
        "word",
        "Of that word's vectors, above 0.",
        0,
        open_minimum=True,
        widget_maximum=1,
        step=1e-6,
        added_later=True,
    )
    contexts: Contexts = setting(
        "object",
        "word",
        "textual_inversion: prompts around the word. object, style: the paper's; plain: 'a [V]' alone.",
        methods=WORD_METHODS,
    )
    train_text_encoder: bool = setting(False, "training", "Train the text encoder as well.")
    text_encoder_learning_rate: float | None = setting(
        None, "optimizer", "Above 0; unset, the denoiser's.", 0, open_minimum=True, widget_maximum=1, step=1e-6
    )
    schedule: Schedule = setting("constant", "optimizer", "Of the learning rate.")
    warmup_steps: int = setting(0, "optimizer", "Steps over which the learning rate rises, 0 or more.", 0)
    max_grad_norm: float = setting(
        1.0, "optimizer", "Gradients longer than this are cut to it; above 0.", 0, open_minimum=True, widget_maximum=100
    )
    weight_decay: float = setting(1e-2, "optimizer", "Of the optimizer, 0 or more.", 0, widget_maximum=1)
    snr_gamma: float | None = setting(
        None,
        "training",
        "γ of min-SNR weighting, above 0, often 5; unset, the paper's plain loss.",
        0,
        open_minimum=True,
        widget_maximum=100,
    )
    timestep_density: Density = setting(
        "auto",
        "training",
        "Of the noise levels that a flow model is trained at. auto: as its makers train it; uniform; logit_normal: "
        "more in the middle, then the model's shift; shifted: by that alone; shifted_by_tokens: by the picture's size.",
    )
    ema_decay: float = setting(
        0.0,
        "training",
        "Of a moving average of the trained weights, below 1, such as 0.99, which samples, scores and the result have. "
        "0: none.",
        0,
        maximum=0.9999,
        step=0.0001,
        added_later=True,
    )
    precision: Precision = setting(
        "auto",
        "memory",
        "Of the forward; the optimizer stays float32, and so do trained weights unless they are asked in bf16.",
    )
    checkpointing: bool = setting(
        False, "memory", "Recompute activations, not keep them: less memory, about a third slower."
    )
    memory: Memory = setting(
        "auto",
        "memory",
        "What the training has to fit in: auto is what is free on the device. It then sets checkpointing, "
        "base_in_8_bits, optimizer, trained_weights and fused_backward by itself; off leaves them as they are.",
    )
    base_in_8_bits: bool = setting(False, "memory", "LoRA: keep the frozen base in 8 bits, half of bf16; slower.")
    optimizer: str = setting(
        "adamw",
        "optimizer",
        "adamw keeps twice the weights' size beside them, adafactor next to nothing, adamw_8bit a quarter of adamw's, "
        "lion half of it; prodigy finds its learning rate itself; adamw_schedule_free needs no schedule. The last four "
        "are packages to install.",
        choices=tuple(OPTIMIZERS),
    )
    trained_weights: TrainedWeights = setting(
        "fp32", "memory", "full: bf16, rounded stochastically, is half of fp32; with adafactor."
    )
    fused_backward: bool = setting(
        False, "memory", "Use each gradient and free it at once; max_grad_norm is then of each weight's own gradient."
    )
    fit_memory: bool = setting(
        False,
        "memory",
        "Where memory runs out, go on with checkpointing, then with smaller batches.",
        changes_weights=False,
    )
    templates: PromptTemplates = field(default_factory=PromptTemplates)
    caption_trigger: CaptionTrigger = setting(
        "before the caption",
        "photos",
        "Where the subject's name goes in a caption that lacks it. before the caption: the instance prompt, then the "
        "caption; as the first tag: [V] and the class noun, then the caption; for the class noun: in the place of the "
        "first one in the caption; not at all: the caption is used as it is.",
        added_later=True,
    )
    shuffle_tags: bool = setting(
        False,
        "photos",
        "Show each caption with its tags, the parts between commas, in 16 random orders. Not for whole sentences.",
        added_later=True,
    )
    keep_tags: int = setting(
        0,
        "photos",
        "Tags at a caption's start that shuffle_tags leaves in place, 0 or more.",
        0,
        widget_maximum=75,
        added_later=True,
    )
    caption_dropout: float = setting(
        0.0,
        "photos",
        "How often, 0 to 1, a photo is shown under an empty prompt, often 0.05 to 0.1; above that the subject comes "
        "unasked.",
        0,
        maximum=1,
        added_later=True,
    )
    flip: bool = setting(
        False,
        "photos",
        "Show each photo mirrored half of the time, except where its caption or the prompt names a side or a text. Not "
        "for a subject with writing on it, a parting or anything else of one side: it would be learned both ways.",
        added_later=True,
    )
    noise_offset: float = setting(
        0.0,
        "training",
        "Strength of one more random value for each picture and channel, 0 or more, often 0.05 to 0.1: for pictures "
        "that are dark or bright all over. Flow models need none.",
        0,
        widget_maximum=1,
        added_later=True,
    )
    multires_noise_levels: int = setting(
        0,
        "training",
        "Sizes at which noise is drawn, 0 to 10, often 6: for large shapes and for brightness. 0: white noise.",
        0,
        maximum=10,
        added_later=True,
    )
    multires_noise_discount: float = setting(
        0.3,
        "training",
        "Strength of each of these sizes beside the next larger one, 0 to 1.",
        0,
        maximum=1,
        added_later=True,
    )
    score_every: int = setting(
        0,
        "scores",
        "Steps between scores (likeness, prompt following, class leak, variety), by which the best step becomes the "
        "result; 0: none, and the last step is the result.",
        0,
        added_later=True,
    )
    early_stop: int = setting(
        0,
        "scores",
        "Scores in a row without more likeness after which the training ends; 0 trains all steps.",
        0,
        widget_maximum=1000,
        added_later=True,
    )
    state_seconds: float = setting(
        30.0,
        "preview",
        "Seconds between states that a run can be resumed from; 0 keeps none.",
        0,
        widget_maximum=86_400,
        step=1,
        changes_weights=False,
    )
    save_every: int = setting(
        0, "preview", "Steps between files to choose the best from; 0 saves the last only.", 0, changes_weights=False
    )
    sample_every: int = setting(
        0, "preview", "Steps between sample pictures; 0 draws them at the end only.", 0, changes_weights=False
    )
    sample_prompt: str = setting(
        "", "preview", "Empty: the instance prompt. [V] and {class} are filled in.", changes_weights=False
    )
    sample_count: int = setting(
        2, "preview", "Pictures of a sample, 0 or more.", 0, widget_maximum=16, changes_weights=False
    )
    noise_level: int = setting(
        0,
        "training",
        "Of an upscaler alone: the level of the noise on the small pictures, 0 to 350; 0 is the least (σ = 0.01), as "
        "the paper lowers it for the subject's details.",
        0,
        maximum=350,
        added_later=True,
    )

    def __post_init__(self) -> None:
        for name in SETTINGS:
            _check(name, getattr(self, name))
        require(isinstance(self.templates, PromptTemplates), "templates", self.templates, "PromptTemplates")
        require_compatible(self)

    @property
    def prior_in_use(self) -> PriorName:
        """The prior; "off" where its weight is 0 or the method learns a word, which the class prompt lacks."""
        return self.prior if self.prior_weight and not self.learns_word else "off"

    @property
    def optimizer_kind(self) -> OptimizerKind:
        """What is known of the optimizer."""
        return OPTIMIZERS[self.optimizer]

    @property
    def lora_alpha(self) -> float:
        """The LoRA's alpha in effect: the rank where alpha is unset."""
        return self.rank if self.alpha is None else self.alpha

    @property
    def weight_settings(self) -> dict[str, Any]:
        """{option: value} that determine the result, as part of the run's key; ready for JSON."""
        return {name: value for name, value in self.settings.items() if name in _IN_KEY and self._is_in_key(name)}

    def _is_in_key(self, name: str) -> bool:
        """Whether an option is in the run's key: it concerns the method and, if added later, is not at its default."""
        return self._concerns(name) and (name not in _ADDED_LATER or getattr(self, name) != DEFAULTS[name])

    @property
    def learns_word(self) -> bool:
        """Whether the identifier becomes a new word, with vectors of its own."""
        return self.method in WORD_METHODS

    @property
    def adds_word(self) -> bool:
        """Whether the identifier becomes a new word, alone or beside weights."""
        return self.learns_word or self.word_share > 0

    @property
    def trains_conditioning(self) -> bool:
        """Whether the text encoders' outputs change during the training, so that they cannot be cached."""
        return self.train_text_encoder or self.adds_word

    @property
    def settings(self) -> dict[str, Any]:
        """{option: value} of all options, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        templates = self.templates
        return {**values, "templates": {"instance": templates.instance, "class": templates.class_}}

    def _concerns(self, name: str) -> bool:
        """Whether an option concerns the method."""
        methods = SETTINGS[name].methods if name in SETTINGS else ()
        if name in OF_A_WORD and self.word_share:
            return True
        return name != "word_learning_rate" and (not methods or self.method in methods)


SETTINGS: dict[str, Setting] = {f.name: f.metadata["setting"] for f in fields(TrainOptions) if f.metadata}
"""{field: its Setting} of every field but `templates`."""
TEXTS: dict[str, str] = {name: one.text for name, one in SETTINGS.items()}
"""{field: its unit and range}, for users."""
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(TrainOptions) if f.name in SETTINGS}
"""{field: its default}."""
OF_A_WORD = ("vectors", "start_word", "word_learning_rate")
"""The fields that concern a word beside weights, whatever the method."""
_HINTS = get_type_hints(TrainOptions)
CHOICES: dict[str, tuple[str, ...]] = {
    name: one.choices or get_args(_HINTS[name])
    for name, one in SETTINGS.items()
    if one.choices or get_origin(_HINTS[name]) is Literal
}
"""{field: its allowed words}, of the fields that are choices."""
KINDS: dict[str, type] = {
    name: str if name in CHOICES else next(iter({*get_args(_HINTS[name])} - {NoneType}), _HINTS[name])
    for name in SETTINGS
}
"""{field: bool, int, float or str}; a choice is a str. A field whose default is None may be None as well."""
_IN_KEY = {"templates", *(name for name, one in SETTINGS.items() if one.changes_weights)}
"""The fields that are part of a run's key."""
_ADDED_LATER = {name for name, one in SETTINGS.items() if one.added_later}
"""Those of them that are left out of it at their default."""


def _check(name: str, value: Any) -> None:
    """Raises OptionError where a field's value is of another type or out of range."""
    kind, one = KINDS[name], SETTINGS[name]
    if value is None and DEFAULTS[name] is None:
        return
    if name in CHOICES:
        require(value in CHOICES[name], name, value, f"one of {', '.join(CHOICES[name])}")
    elif kind is bool:
        require(isinstance(value, bool), name, value, "true or false")
    elif kind is str:
        require(isinstance(value, str), name, value, "a text")
    else:
        # Hosts pass values from workflows and files: a string or a NaN is as likely as a number out of range.
        number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        allowed = f"{'a whole number, ' if kind is int else ''}{one.allowed}"
        require(number and abs(value) <= sys.float_info.max and one.fits(value), name, value, allowed)
