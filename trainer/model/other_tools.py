"""What other tools call a family's parts: the strings that a new family says in its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class NamesElsewhere:
    """Components are "denoiser", "vae" and the text encoders; only what can be trained has names for LoRAs."""

    kohya: ClassVar[dict[str, str]]
    """{trained component: what stands before its layers' names in kohya's LoRA files}."""
    kohya_by_original: ClassVar[bool] = False
    """Whether the denoiser's layers have the original layout's names there, or ours."""
    kohya_version: ClassVar[str] = ""
    """kohya's ss_base_model_version, without the `_v` of v-prediction."""
    diffusers: ClassVar[dict[str, str]]
    """{component: its folder and LoRA prefix in diffusers}."""
    pipeline: ClassVar[str] = ""
    """The class of diffusers that runs the family, where its folder can be written."""
    pipeline_index: ClassVar[dict[str, Any]] = {}
    """What that folder's model_index.json says beside its components."""
    comfyui: ClassVar[dict[str, str]]
    """{trained component: what stands before its weights' names in ComfyUI, and first the text encoder's own name}.

    The denoiser's names there are the original ones.
    """
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {}
    """{ComfyUI's classes of (noise schedule, answer): what the denoiser answers}, for all that can be trained."""
    embeddings: ClassVar[tuple[str, ...]] = ()
    """How the names of tables end that are looked up in: no LoRA changes them."""

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """What kohya, diffusers and ComfyUI all call a layer or weight inside a component; ours, where that is it."""
        return name

    @classmethod
    def answer_in_comfyui(cls, sampling: tuple[str, ...]) -> str:
        """What the denoiser answers where ComfyUI samples by these classes: noise schedule, answer.

        No weight carries it, and a graph may have changed it. Raises ValueError for what the family is not trained by.
        """
        for known, answer in cls.comfyui_sampling.items():
            if known == sampling:
                return answer
        choices = " or ".join(cls.comfyui_sampling.values())
        raise ValueError(
            f"The model samples by {', '.join(sampling)}, which this kind of model cannot be trained for: only "
            f"{choices or 'outside ComfyUI'}."
        )

    def save_tokenizer(self, component: str, folder: Path) -> str:
        """Write a text encoder's tokenizer as transformers reads it; its class. For a family with a pipeline."""
        raise NotImplementedError(f"{type(self).__name__} names a pipeline, and has no tokenizer for {component!r}")
