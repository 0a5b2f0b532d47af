"""PickRareToken: an identifier that means nothing yet."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.identifier import rank_by_prior, rare_candidates, report
from . import sockets
from .comfy_host import rare_tokens
from .comfy_sampling import denoiser_answer


class PickRareToken(io.ComfyNode):
    """The paper's rare-token lookup on the model's own tokenizer (section 3.2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="PickRareToken",
            display_name="Pick Rare Token",
            category=sockets.CATEGORY,
            description="Finds a word that the model has no picture of: the subject's name, [V].",
            inputs=[
                io.Clip.Input("clip"),
                io.Int.Input("length", default=1, min=1, max=3, tooltip="Tokens in the identifier, 1 to 3."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1, control_after_generate=False),
                io.Model.Input("model", optional=True, tooltip="Ranks the candidates by the prior they carry in it."),
                io.String.Input("class_noun", default="dog", optional=True, tooltip="Measured as 'a X dog'."),
            ],
            outputs=[
                io.String.Output(display_name="identifier"),
                io.String.Output(display_name="report"),
            ],
        )

    @classmethod
    def execute(cls, clip: Any, length: int, seed: int, model: Any = None, class_noun: str = "dog") -> io.NodeOutput:
        """The identifier with the weakest prior, and how it compares."""
        found = rare_tokens(clip)
        if found is None:
            raise ValueError(f"clip is a {type(clip.tokenizer).__name__}, of no known rare tokens: type [V] in.")
        candidates = rare_candidates(found[0], length, seed, kind=found[1])
        if model is not None:
            candidates = rank_by_prior(candidates, class_noun, denoiser_answer(model, clip))
        return io.NodeOutput(candidates[0].text, report(candidates, candidates[0], class_noun))
